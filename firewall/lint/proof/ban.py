"""Bans are about addresses: which ordinary message shuts out everybody behind an address that emergency calls use?"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from firewall.engine.engine import Engine
from firewall.lint.endpoint import Pair, Side
from firewall.lint.flow import VOICE, Flow, Writer, ordinary_request
from firewall.lint.form import Form, base_forms
from firewall.lint.instant import BASE_NS, SECOND_NS
from firewall.lint.probe import Blocked, Probe, Questioner, decide, sent_of
from firewall.lint.proof.asking import Asker, Unanswered
from firewall.lint.proof.context import Context
from firewall.lint.proof.encoding import EncodedPolicy, EncodedRule
from firewall.lint.proof.load import OWN_TO_A_CALL
from firewall.lint.proof.witness import Staged
from firewall.lint.script import Script, Step, other, with_article
from firewall.ruleset.expression import Comparison, Membership, atoms, base_field
from firewall.ruleset.policy import Policy, Rule

_METHODS = (
    *("OPTIONS", "REGISTER", "INVITE", "SUBSCRIBE", "MESSAGE", "PUBLISH", "NOTIFY", "REFER", "INFO", "BYE"),
    *("CANCEL", "ACK", "PRACK", "UPDATE"),
)
_UNREADABLE = (b"\x00\x01\x02 no SIP at all\r\n\r\n", b"INVITE sip:1000@psap.example SIP/2.0\r\nno header\r\n\r\n")
_SIDES: tuple[Side, ...] = ("caller", "psap")
_MAX_REPEATS = 2000
_PLAIN = Form("ordinary", "", "", body=None)


@dataclass(frozen=True, slots=True)
class Banned:
    """A rule whose ban reaches an address of an emergency call; ``blocked`` shows it, where few enough messages do."""

    rule: Rule
    trigger: str
    blocked: Blocked | None


def ordinary_contexts(policy: Policy, pair: Pair) -> Iterator[Context]:
    """Yield the contexts of messages that are no emergency, from either side: any method, a response, no SIP.

    A banned caller cannot call; of a banned PSAP no answer comes through.
    """
    methods = dict.fromkeys((*_METHODS, "X-ORDINARY", *_named_methods(policy)))
    flows = [flow for sender in _SIDES for flow in _ordinary_flows(methods, sender)]
    engine = Engine(replace(policy, rules=()))
    for flow in flows:
        probe = Probe(flow, _PLAIN, pair, BASE_NS)
        for index, step in enumerate(probe.steps()):
            facts = engine.facts(sent_of(step, probe).datagram, BASE_NS)
            yield Context(flow, _PLAIN, index, pair, step, facts, follows=False, is_fixed=facts.message is None)


def _ordinary_flows(methods: Iterable[str], sender: Side) -> Iterator[Flow]:
    for method in methods:
        yield Flow(f"ordinary {method}", "voice", None, _request(method, sender))
    yield Flow("ordinary response", "voice", None, _response(sender))
    for data in _UNREADABLE:
        yield Flow("no SIP message", "voice", None, _unreadable(data, sender))


def banned(
    encoded: EncodedPolicy, asker: Asker, questioner: Questioner, contexts: Sequence[Context]
) -> list[Banned | Unanswered]:
    """Return every rule whose ban an ordinary message from either side triggers, or why that is not known."""
    banning = [
        each
        for each in encoded.rules
        if each.rule.ban_ns is not None and not each.rule.shadow and not _counts_one_call(each.rule)
    ]
    met: dict[str, list[Context]] = {}
    for context in contexts if banning else ():
        for each in _deciding(banning, asker, context):
            met.setdefault(each.rule.name, []).append(context)
    answers = [
        _of_rule(each, encoded, asker, questioner, met[each.rule.name]) for each in banning if each.rule.name in met
    ]
    return [answer for answer in answers if answer is not None]


def _deciding(rules: Sequence[EncodedRule], asker: Asker, context: Context) -> Iterator[EncodedRule]:
    """Yield the rules that may decide on a message of a context, as far as the formula knows: all are asked at once."""
    formula = asker.encoding.formula
    goal = [formula.any_of(formula.all_of([each.above, each.decides]) for each in rules)]
    while (model := asker.example(context, goal)) is not None:
        found = next(each for each in rules if model.holds(each.decides))
        yield found
        goal.append(-found.decides)


def _of_rule(
    each: EncodedRule, encoded: EncodedPolicy, asker: Asker, questioner: Questioner, contexts: Sequence[Context]
) -> Banned | Unanswered | None:
    below = [-other.above for other in encoded.rules if other.rule.limit is not None and other is not each]
    goal = [*below, each.above, each.decides]
    unanswered: Unanswered | None = None
    for context in contexts:
        answer = asker.ask(context, goal, lambda staged: _shut_out(each.rule, staged, questioner))
        if isinstance(answer, Banned):
            return answer
        if answer is not None:
            unanswered = unanswered or Unanswered(context, each.rule.name, answer.reason)
    return unanswered


def _shut_out(rule: Rule, staged: Staged, questioner: Questioner) -> Banned | None:
    """Send the trigger until the rule bans, at once: no limit has time for one more. Then place an emergency call."""
    needed = rule.limit.burst + 1 if rule.limit is not None else 1
    trigger, pair = staged.sent[-1], staged.probe.pair
    told = f"{with_article(trigger.label)} from {trigger.datagram.src_ip}" + (f", {needed} times," * (needed > 1))
    if needed > _MAX_REPEATS:
        return Banned(rule, told, None)
    engine = questioner.engine()
    sent = [trigger] * needed
    for each in sent:
        decision = decide(engine, each)
    if decision.decision.rule != rule.name:
        return None
    call = Probe(VOICE, base_forms(questioner.policy.emergency)[-1], pair, sent[-1].at_ns + SECOND_NS, "banned")
    for step in call.steps():
        sent.append(sent_of(step, call))
        decision = decide(engine, sent[-1])
        if decision.decision.reason == "banned":
            return Banned(rule, told, Blocked(call, step, decision, tuple(sent)))
    return None


def _counts_one_call(rule: Rule) -> bool:
    return rule.limit is not None and any(field.startswith(OWN_TO_A_CALL) for field in rule.limit.per)


def _named_methods(policy: Policy) -> Iterator[str]:
    """Yield the methods that rules name, so that an odd one is tried too."""
    for rule in policy.rules:
        for atom in atoms(rule.when) if rule.when is not None else ():
            if base_field(atom.operand).name in ("sip.Method", "sip.CSeq.method"):
                match atom:
                    case Comparison(_, _, str() as method):
                        yield method
                    case Membership(_, items):
                        yield from (item for item in items if isinstance(item, str))
                    case _:
                        pass


def _request(method: str, sender: Side) -> Writer:
    def write(script: Script, form: Form) -> None:
        ordinary_request(script, sender, method, f"sip:1000@{other(sender)}.example", form)

    return write


def _response(sender: Side) -> Writer:
    def write(script: Script, form: Form) -> None:
        uri = f"sip:1000@{sender}.example"
        dialog = script.dialog(other(sender), uri, f"<{uri}>", form.style)
        request = script.request(dialog, other(sender), "OPTIONS", "initial", begins=True)
        script.steps.clear()  # the request itself went another way
        script.answer(request, 503, "initial")

    return write


def _unreadable(data: bytes, sender: Side) -> Writer:
    def write(script: Script, form: Form) -> None:  # noqa: ARG001 - every flow is written from a form
        script.steps.append(Step(0, sender, "datagram that is no SIP message", "initial", data))

    return write
