"""From what the proof found to findings: which code, whose fault, in which words."""

from dataclasses import replace

from firewall.engine.record import DecisionFields
from firewall.errors import Place
from firewall.lint.codes import CODES
from firewall.lint.finding import UNDECIDED, Finding
from firewall.lint.probe import Blocked
from firewall.lint.proof.asking import Unanswered
from firewall.lint.proof.ban import Banned
from firewall.lint.proof.load import names_an_end
from firewall.lint.proof.refute import Refuted, Shadowed
from firewall.lint.proof.surge import Surged
from firewall.ruleset.expression import is_about_zones
from firewall.ruleset.policy import Policy, Rule

_VERBS = {"drop": "drops", "reject": "rejects"}
_NAMED_MESSAGES = 8
_CODE_OF_ROLE = {
    "initial": "SOS101",
    "mid_call": "SOS102",
    "callback": "SOS106",
    "keepalive": "SOS107",
    "text": "SOS108",
    "registration": "SOS111",
}
_OBJECTS = {
    "SOS101": "an emergency call",
    "SOS102": "the {step} of an emergency call",
    "SOS103": "emergency calls",
    "SOS105": "the {step} of emergency traffic",
    "SOS106": "the {step} of a call back from the PSAP",
    "SOS107": "the {step} that keeps the trunk in service",
    "SOS108": "a text message to the emergency service",
    "SOS109": "an emergency call because of another message from the same address",
    "SOS110": "an emergency test call",
    "SOS111": "the {step} of an emergency registration",
}
"""What is blocked, for each code; of SOS104 it is what that of the message's role says."""


def finding_of(policy: Policy, blocked: Blocked, *because: str) -> Finding:
    """Return the finding for a call that is blocked; it is the witness. ``because`` are further sentences."""
    decision = blocked.decision.decision
    guilty = policy.rule_named(decision.rule)
    code = _code_of(blocked, guilty)
    return Finding(
        code,
        f"{_culprit(guilty, decision)} {_VERBS[decision.verdict]} {_object(code, blocked, guilty)}",
        _place(policy, guilty, decision),
        _help(policy, code, guilty, blocked),
        guilty.name if guilty else None,
        (*_because(policy, blocked, guilty), *because, f"met in: {blocked.probe.name}, {blocked.step.label}"),
        blocked.witness(),
    )


def refuted_finding(policy: Policy, refuted: Refuted) -> Finding:
    """Return the finding for a call that a rule or the default blocks."""
    also = refuted.also
    more = f", and {len(also) - _NAMED_MESSAGES} more" if len(also) > _NAMED_MESSAGES else ""
    told = f"it blocks too: {', '.join(also[:_NAMED_MESSAGES])}{more}"
    return finding_of(policy, refuted.blocked, *([told] if also else []))


def load_finding(policy: Policy, surged: Surged) -> Finding:
    """Return the finding for a limit that the surge exceeds; without a witness where that takes too many messages."""
    load = surged.load
    which = "trunk" if load.is_keepalive else "call"
    met = f"met by {_load_text(surged)}: {which} {load.call + 1} is the first above the limit"
    if surged.blocked is not None:
        return finding_of(policy, surged.blocked, met)
    rule = surged.rule
    code, what = ("SOS107", "keep-alives") if load.is_keepalive else ("SOS103", "emergency calls")
    message = f'rule "{rule.name}" {_VERBS[rule.action]} {what}{_sometimes(rule)}'
    return Finding.about(code, message, rule, _matches(rule), met, f"met in: {surged.probe.name}")


def _load_text(surged: Surged) -> str:
    """Return who calls whom how often, and how many messages of it the limit counts as one's."""
    load, pair, limit = surged.load, surged.probe.pair, surged.rule.limit
    is_of_caller = surged.first.datagram.src_ip == pair.caller.ip
    many = f"{load.calls_per_second} {'calls' if is_of_caller else 'callbacks'} per second"
    text = "keep-alives, one each 30 s," if load.is_keepalive else many
    text += " from " if is_of_caller else " to "
    text += f"{pair.caller.ip}, one trunk address" if load.is_one_source else "many addresses"
    if not load.is_one_source and limit is not None and names_an_end(limit, surged.first):
        text += f", all {'to' if is_of_caller else 'from'} {pair.psap.ip}"
    if load.of_each > 1 and not load.is_keepalive:
        text += f", {load.of_each} messages of each ({load.of_each * load.calls_per_second} per second)"
    return text


def ban_finding(policy: Policy, banned: Banned) -> Finding:
    """Return the finding for a ban that reaches an address that emergency calls use."""
    trigger = f"{banned.trigger} triggers the ban"
    if banned.blocked is not None:
        return finding_of(policy, banned.blocked, trigger)
    rule = banned.rule
    message = f'the ban of rule "{rule.name}" drops {_OBJECTS["SOS109"]}'
    return Finding("SOS109", message, rule.place, _unban(policy, rule), rule.name, (trigger,))


def shadow_finding(shadowed: Shadowed) -> Finding:
    """Return the finding for a shadow rule that would block a message of an emergency call."""
    rule = shadowed.rule
    steps = [each.steps[-1] for each in shadowed.shown]
    told = [
        _OBJECTS["SOS107"].format(step=step.label)
        if step.role == "keepalive"
        else f"{_OBJECTS['SOS102'].format(step=step.label)} ({each.probe.name})"
        for step, each in zip(steps, shadowed.shown, strict=True)
    ]
    message = f'shadow rule "{rule.name}" would {rule.action} {" and ".join(told)}'
    finding = Finding.about("SOS112", message, rule, _matches(rule))
    if steps[-1].role != "keepalive":
        return finding
    mends = [CODES["SOS112"].mend] * (len(steps) > 1) + [CODES["SOS107"].mend]
    return replace(finding, help=" ".join(mends), named=("keep-alive",))


def open_finding(policy: Policy, unanswered: Unanswered) -> Finding:
    """Return the finding for a question that was not answered."""
    rule = policy.rule_named(unanswered.rule)
    context = unanswered.context
    culprit = f'rule "{rule.name}"' if rule is not None else "the default"
    told, place = f"it is not decided whether {culprit}", rule or policy.default_place
    if rule is not None and rule.ban_ns is not None and context.facts.emergency is None:
        told += f" bans who sends the {context.step.label} ({context.probe.name})"
        return replace(Finding.about(UNDECIDED, told, place, unanswered.reason), help=_unban(policy, rule))
    told += f" blocks {_OBJECTS['SOS102'].format(step=context.step.label)} ({context.probe.name})"
    return Finding.about(UNDECIDED, told, place, unanswered.reason)


def _code_of(blocked: Blocked, guilty: Rule | None) -> str:
    """Return the code of a blocked probe."""
    reason = blocked.decision.decision.reason
    if blocked.probe.flow.form_flow is not None and blocked.probe.form.is_test:
        return "SOS110"
    if reason == "banned":
        return "SOS109"
    if blocked.step.role == "keepalive" and reason in ("rule", "default"):
        return "SOS107"  # a limit or schedule, too: it has no mark by which the rule could exempt it
    if guilty is not None and guilty.limit is not None:
        return "SOS103"
    if guilty is not None and guilty.schedule is not None:
        return "SOS104"
    if reason not in ("rule", "default"):
        return "SOS105"
    return _CODE_OF_ROLE[blocked.step.role]


def _culprit(guilty: Rule | None, decision: DecisionFields) -> str:
    if guilty is not None:
        return f'the ban of rule "{guilty.name}"' if decision.reason == "banned" else f'rule "{guilty.name}"'
    if decision.reason == "default":
        return "no rule matches, and the default"
    return f'the exception policy (reason "{decision.reason}")'


def _object(code: str, blocked: Blocked, guilty: Rule | None) -> str:
    what = _OBJECTS[_CODE_OF_ROLE[blocked.step.role] if code == "SOS104" else code]
    when = _sometimes(guilty) if code in ("SOS103", "SOS104", "SOS107") else ""
    return what.format(step=blocked.step.label) + when


def _sometimes(rule: Rule | None) -> str:
    """Say when a rule with a limit or a schedule blocks."""
    above = f" above {rule.limit.text}" if rule is not None and rule.limit is not None else ""
    hours = f" at certain hours ({rule.schedule})" if rule is not None and rule.schedule is not None else ""
    return above + hours


def _place(policy: Policy, guilty: Rule | None, decision: DecisionFields) -> Place:
    if guilty is not None:
        return guilty.place
    return policy.default_place if decision.reason == "default" else Place(policy.file)


def _help(policy: Policy, code: str, guilty: Rule | None, blocked: Blocked) -> str:
    if code == "SOS109":
        return _unban(policy, guilty)
    if code == "SOS107":
        return CODES[code].mend
    if blocked.decision.emergency is None:
        add = f'Put a rule before rule "{guilty.name}"' if guilty is not None else "Add a rule"
        return f"{add} that allows the {blocked.step.label}; `emergency` is not true of it."
    if guilty is None and blocked.decision.decision.reason == "default":
        return "Add a rule that allows it: `when: emergency`, `action: allow`."
    return CODES[code].mend_of(guilty)


def _unban(policy: Policy, guilty: Rule | None) -> str:
    """Say how to keep the zones of emergency calls out of a rule that bans, by their names where they have any."""
    zones = policy.emergency.zones
    if guilty is not None and is_about_zones(guilty.when, zones):
        return f'Delete the `ban` of rule "{guilty.name}": it is about zones of `emergency.from` and `to` alone.'
    names = ", ".join(f'"{zone}"' for zone in zones) or '"carrier", "psap"'
    return CODES["SOS109"].mend.replace('"carrier", "psap"', names)


def _matches(rule: Rule) -> str:
    return f"rule matches: {rule.when_text or 'everything'}"


def _of_odd_port(blocked: Blocked) -> list[str]:
    """Say what a port is that the PSAP does not listen on."""
    datagram, listens = blocked.sent[-1].datagram, blocked.probe.pair.psap.port
    port = datagram.dst_port if blocked.step.sender == "caller" else datagram.src_port
    if port == listens:
        return []
    if datagram.transport == "TCP":
        return [f"it goes over a connection that the PSAP opened from port {port}, not one to {listens}"]
    return [f"the PSAP asks from port {port}, not from {listens}, where it listens"]


def _because(policy: Policy, blocked: Blocked, guilty: Rule | None) -> tuple[str, ...]:
    because: list[str] = []
    mark = blocked.decision.emergency
    if mark is not None:
        because.append(f"it is an emergency ({mark.emergency_class}): {mark.evidence[0]}")
    elif blocked.step.role == "keepalive":
        because.append("an OPTIONS outside a dialog carries no emergency mark, so `not emergency` does not exempt it")
    else:
        because.append("the firewall cannot tell from this message alone that it belongs to an emergency call")
    because += _of_odd_port(blocked)
    if guilty is None:
        if blocked.decision.decision.reason == "default":
            because.append(f"none of the {len(policy.rules)} rules matches it")
        return tuple(because)
    because.append(_matches(guilty))
    return tuple(because)
