"""Bans are about addresses: which message shuts out everybody behind an address that emergency calls use?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from firewall.lint.endpoint import Pair
from firewall.lint.flow import VOICE
from firewall.lint.form import base_forms
from firewall.lint.instant import SECOND_NS
from firewall.lint.probe import Blocked, Probe, Questioner, decide, sent_of
from firewall.lint.proof.asking import Asker, Unanswered
from firewall.lint.proof.context import Context, plain_pair
from firewall.lint.proof.encoding import EncodedPolicy, EncodedRule
from firewall.lint.proof.witness import Staged
from firewall.lint.script import with_article
from firewall.net.address import address_number, family
from firewall.ruleset.policy import Policy, Rule

_MAX_REPEATS = 2000


@dataclass(frozen=True, slots=True)
class Banned:
    """A rule whose ban reaches an address of an emergency call; ``blocked`` shows it, where few enough messages do."""

    rule: Rule
    trigger: str
    blocked: Blocked | None


def banned(
    encoded: EncodedPolicy, asker: Asker, questioner: Questioner, contexts: Sequence[Context]
) -> list[Banned | Unanswered]:
    """Return every rule whose ban any message from either side triggers, or why that is not known."""
    banning = [each for each in encoded.rules if each.rule.ban_ns is not None and not each.rule.shadow]
    met: dict[str, list[Context]] = {}
    for context in contexts if banning else ():
        for each in _deciding(banning, asker, context):
            met.setdefault(each.rule.name, []).append(context)
    answers = [
        _of_rule(each, encoded, asker, questioner, met.get(each.rule.name, ())) or _beyond(each, asker, contexts)
        for each in banning
    ]
    return [answer for answer in answers if answer is not None]


def _beyond(each: EncodedRule, asker: Asker, contexts: Sequence[Context]) -> Unanswered | None:
    """Say so where a message might trigger a ban that only examples are sent of."""
    for context in contexts:
        fields = asker.beyond(context, [each.above, each.decides])
        if fields is not None:
            return Unanswered(context, each.rule.name, f"not every message that {fields} is about was tried")
    return None


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
        answer = asker.ask(context, goal, partial(_shut_out, each.rule, context, questioner))
        if isinstance(answer, Banned):
            return answer
        if answer is not None:
            unanswered = unanswered or Unanswered(context, each.rule.name, answer.reason)
    return unanswered


def _shut_out(rule: Rule, context: Context, questioner: Questioner, staged: Staged) -> Banned | None:
    """Send the trigger until the rule bans, at once: no limit has time for one more. Then place an emergency call.

    Where the call that the trigger belongs to does not pass, it is one that was set up before these rules were loaded.
    """
    needed = rule.limit.burst + 1 if rule.limit is not None else 1
    *before, trigger = staged.sent
    told = f"{with_article(trigger.label)} from {trigger.datagram.src_ip}" + (f", {needed} times," * (needed > 1))
    if needed > _MAX_REPEATS:
        return Banned(rule, told, None)
    engine = questioner.engine()
    is_set_up = all(decide(engine, each).decision.verdict == "allow" for each in before)
    if not is_set_up:
        engine = questioner.taken_over(before, trigger.at_ns)
    for _ in range(needed):
        decision = decide(engine, trigger)
    if decision.decision.rule != rule.name:
        return None
    pair = _calling(trigger.datagram.src_ip, context, questioner.policy)
    call = Probe(VOICE, base_forms(questioner.policy.emergency)[-1], pair, trigger.at_ns + SECOND_NS, "banned")
    sent = [*before, *[trigger] * needed]
    for step in call.steps():
        sent.append(sent_of(step, call))
        decision = decide(engine, sent[-1])
        if decision.decision.reason == "banned":
            return Banned(rule, told, Blocked(call, step, decision, tuple(sent)) if is_set_up else None)
    return None


def _calling(banned_ip: str, context: Context, policy: Policy) -> Pair:
    """Return two ends of an emergency call; one is at the address that is banned, a context's sender."""
    zones, definition = {zone.name: zone for zone in policy.zones}, policy.emergency
    caller, psap = context.pair.caller, context.pair.psap
    meant = (caller.zone, definition.from_zones), (psap.zone, definition.to_zones)
    is_turned = any(zone is not None and zone not in those for zone, those in meant)
    if is_turned:
        caller, psap = psap, caller
    families = (family(address_number(banned_ip)),)
    pair = plain_pair(policy, zones.get(caller.zone or ""), zones.get(psap.zone or ""), families)
    assert pair is not None  # noqa: S101 - the sender is of a family that both ends have
    if (context.step.sender == "caller") is is_turned:
        return replace(pair, psap=replace(pair.psap, ip=banned_ip))
    return replace(pair, caller=replace(pair.caller, ip=banned_ip))
