"""From a blocked probe to a finding: which code it is, whose fault, in which words."""

from collections.abc import Sequence

from firewall.engine.record import DecisionFields
from firewall.errors import Place
from firewall.lint.codes import CODES
from firewall.lint.finding import Finding
from firewall.lint.probe import Blocked
from firewall.ruleset.policy import Policy, Rule

_BY_ROLE = {
    "initial": "SOS101",
    "mid_call": "SOS102",
    "callback": "SOS106",
    "keepalive": "SOS107",
    "text": "SOS108",
    "registration": "SOS111",
}
_VERBS = {"drop": "drops", "reject": "rejects"}
_NAMED_PROBES = 4


def code_of(blocked: Blocked, guilty: Rule | None) -> str:
    """Return the code of a blocked probe."""
    reason = blocked.decision.decision.reason
    if blocked.probe.flow.form_flow is not None and blocked.probe.form.is_test:
        return "SOS110"
    if reason == "banned":
        return "SOS109"
    if guilty is not None and guilty.limit is not None:
        return "SOS103"
    if guilty is not None and guilty.schedule is not None:
        return "SOS104"
    if reason not in ("rule", "default"):
        return "SOS105"
    return _BY_ROLE[blocked.step.role]


def guilty_rule(policy: Policy, decision: DecisionFields) -> Rule | None:
    """Return the rule that decided, None where none did."""
    return next((rule for rule in policy.rules if rule.name == decision.rule), None)


def finding_of(policy: Policy, code: str, group: Sequence[Blocked], asked: int) -> Finding:
    """Return the finding for probes that one rule blocks in one way; the first of them is the witness."""
    first = group[0]
    decision = first.decision.decision
    guilty = guilty_rule(policy, decision)
    culprit = _culprit(guilty, decision)
    message = f"{culprit} {_VERBS[decision.verdict]} {_object(code, first, guilty)}"
    return Finding(
        code,
        message,
        _place(policy, guilty, decision),
        _help(code, guilty, decision),
        guilty.name if guilty else None,
        (*_because(policy, first, guilty), _extent(group, asked)),
        first.witness(),
    )


def _culprit(guilty: Rule | None, decision: DecisionFields) -> str:
    if guilty is not None:
        return f'the ban of rule "{guilty.name}"' if decision.reason == "banned" else f'rule "{guilty.name}"'
    if decision.reason == "default":
        return "no rule matches, and the default"
    return f'the exception policy (reason "{decision.reason}")'


def _object(code: str, blocked: Blocked, guilty: Rule | None) -> str:
    match code:
        case "SOS101":
            return "an emergency call"
        case "SOS102":
            return f"the {blocked.step.label} of an emergency call"
        case "SOS103":
            limit = f" above {guilty.limit.text}" if guilty is not None and guilty.limit is not None else ""
            return f"emergency calls{limit}"
        case "SOS104":
            hours = f" ({guilty.schedule})" if guilty is not None and guilty.schedule is not None else ""
            return f"an emergency call at certain hours{hours}"
        case "SOS106":
            return f"the {blocked.step.label} of a call back from the PSAP"
        case "SOS107":
            return f"the {blocked.step.label} that keeps the trunk in service"
        case "SOS108":
            return "a text message to the emergency service"
        case "SOS109":
            return "an emergency call because of an ordinary message from the same address"
        case "SOS110":
            return "an emergency test call"
        case "SOS111":
            return f"the {blocked.step.label} of an emergency registration"
        case _:
            return f"the {blocked.step.label} of emergency traffic"


def _place(policy: Policy, guilty: Rule | None, decision: DecisionFields) -> Place:
    if guilty is not None:
        return guilty.place
    return policy.default_place if decision.reason == "default" else Place(policy.file)


def _help(code: str, guilty: Rule | None, decision: DecisionFields) -> str:
    if guilty is None and decision.reason == "default":
        method = "a rule that allows it"
        return f"add {method}; for emergency calls: `when: emergency`, `action: allow`"
    mend = CODES[code].mend
    return mend.replace("the rule that is named", f'rule "{guilty.name}"') if guilty is not None else mend


def _because(policy: Policy, blocked: Blocked, guilty: Rule | None) -> tuple[str, ...]:
    because: list[str] = []
    mark = blocked.decision.emergency
    if mark is not None:
        because.append(f"it is an emergency ({mark.emergency_class}): {mark.evidence[0]}")
    elif blocked.step.role == "keepalive":
        because.append("an OPTIONS outside a dialog carries no emergency mark, so `not emergency` does not exempt it")
    else:
        because.append("the firewall cannot tell from this message alone that it belongs to an emergency call")
    if guilty is None:
        if blocked.decision.decision.reason == "default":
            because.append(f"none of the {len(policy.rules)} rules matches it")
        return tuple(because)
    earlier = [rule.name for rule in policy.rules[: policy.rules.index(guilty)] if not rule.shadow]
    if earlier:
        shown = ", ".join(earlier[:_NAMED_PROBES]) + (", …" if len(earlier) > _NAMED_PROBES else "")
        because.append(f"no earlier rule decides it ({shown})")
    because.append(f"rule matches: {guilty.when_text or 'everything'}")
    return tuple(because)


def _extent(group: Sequence[Blocked], asked: int) -> str:
    names = list(dict.fromkeys(blocked.probe.name for blocked in group))
    shown = "; ".join(names[:_NAMED_PROBES]) + (
        f"; and {len(names) - _NAMED_PROBES} more" if len(names) > _NAMED_PROBES else ""
    )
    return f"blocks {len(group)} of {asked} probes: {shown}"
