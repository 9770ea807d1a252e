"""Limits and bans by limit: which of them cut into the calls of a disaster, with the calls that show it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import merge

import msgspec

from firewall.lint.finding import Sent
from firewall.lint.instant import SECOND_NS
from firewall.lint.probe import Blocked, Probe, Questioner, decide
from firewall.lint.proof.asking import Asker, Unanswered, Undecided
from firewall.lint.proof.context import Context
from firewall.lint.proof.encoding import EncodedPolicy, EncodedRule
from firewall.lint.proof.load import Exceeded, exceeded, may_exceed
from firewall.lint.proof.witness import Staged, alike
from firewall.ruleset.expression import atoms
from firewall.ruleset.policy import Rule

MAX_MESSAGES = 6000
"""A surge with more messages than these before the limit is reached is computed, not shown.

Nor is one of many sources of which the limit counts some messages by themselves: all calls that are shown are between
the same two ends.
"""


@dataclass(frozen=True, slots=True)
class Surged:
    """A limit that the surge exceeds, and the first message of one of its calls.

    ``blocked`` shows the call it cuts into, where that takes few enough messages.
    """

    rule: Rule
    load: Exceeded
    probe: Probe
    first: Sent
    blocked: Blocked | None


def surged(
    encoded: EncodedPolicy, asker: Asker, questioner: Questioner, contexts: Sequence[Context]
) -> list[Surged | Unanswered]:
    """Return every limit that blocks and that the policy's surge exceeds, or why that is not known."""
    limited = [each for each in encoded.rules if each.rule.limit is not None]
    formula = asker.encoding.formula
    left = {
        formula.all_of([each.above, each.decides]): each
        for each in limited
        if each.rule.action != "allow" and not each.rule.shadow
    }
    any_cuts = formula.any_of(left)
    order = [each.rule.name for each in left.values()]
    found: dict[str, Surged | Unanswered] = {}
    for context in contexts:
        asked: list[int] = []
        # Each answer names limits that can decide here: most can in no context, and are never asked about alone.
        while (model := asker.example(context, [any_cuts, *(-gate for gate in asked)])) is not None:
            for gate in [gate for gate in left if model.holds(gate)]:
                asked.append(gate)
                each = left[gate]
                answer = _of_rule(each, limited, asker, questioner, context)
                if isinstance(answer, Surged):
                    found[each.rule.name] = answer
                elif answer is not None:
                    found.setdefault(each.rule.name, answer)
        left = {gate: each for gate, each in left.items() if not isinstance(found.get(each.rule.name), Surged)}
        any_cuts = formula.any_of(left)
    return [found[name] for name in order if name in found]


def _of_rule(
    each: EncodedRule, limited: Sequence[EncodedRule], asker: Asker, questioner: Questioner, context: Context
) -> Surged | Unanswered | None:
    is_keepalive, limit = context.step.role == "keepalive", each.rule.limit
    if limit is None or not (
        is_keepalive or may_exceed(limit, context.probe.sent(), context.pair.caller.ip, questioner.policy)
    ):
        return None  # whatever it counts
    below = [-other.above for other in limited if other is not each]
    staged = asker.ask(context, [*below, each.above, each.decides], lambda staged: staged)
    if isinstance(staged, Undecided):
        return Unanswered(context, each.rule.name, staged.reason)
    if staged is None:
        return None
    whole = staged.whole()
    caller_ip = staged.probe.pair.caller.ip
    load = exceeded(each.rule, whole.sent, caller_ip, questioner.policy, is_keepalive=is_keepalive)
    if load is None and not context.is_fixed:
        read = [atom for atom in atoms(each.rule.when) if atom in asker.encoding.text] if each.rule.when else []
        whole = alike(whole, context.index, read)
        load = exceeded(each.rule, whole.sent, caller_ip, questioner.policy)
    if load is None:
        return None
    # While one call lasts, others begin; where those before it do not fill the limit, they count, too.
    lasting_ns = whole.sent[-1].at_ns - whole.sent[0].at_ns
    begun = 0 if load.is_keepalive else load.calls_per_second * (lasting_ns // SECOND_NS + 1)
    found = Surged(each.rule, load, whole.probe, whole.sent[0], None)
    for calls in (load.call + 1, load.call + 1 + begun):
        if not (load.is_one_source or load.is_all_shared) or calls * len(whole.sent) > MAX_MESSAGES:
            return found
        shown = _shown(each.rule, load, whole, questioner, calls)
        if shown is not None:
            return replace(found, blocked=shown)
    return Unanswered(context, each.rule.name, "the engine lets a surge pass that seems to exceed the limit")


def _shown(rule: Rule, load: Exceeded, staged: Staged, questioner: Questioner, calls: int) -> Blocked | None:
    """Send the surge, so many calls, through an engine up to the message that the limit cuts into."""
    engine = questioner.engine()
    sent: list[Sent] = []
    for _, number, index in merge(*(_times(staged, number, load) for number in range(calls))):
        sent.append(_of_call(staged.sent[index], staged, number, load))
        decision = decide(engine, sent[-1])
        if decision.decision.verdict != "allow" and decision.decision.rule == rule.name:
            return Blocked(staged.probe, staged.steps[index], decision, tuple(sent))
    return None


def _times(staged: Staged, number: int, load: Exceeded) -> list[tuple[int, int, int]]:
    begins_ns = number * SECOND_NS // load.calls_per_second
    return [(each.at_ns + begins_ns, number, index) for index, each in enumerate(staged.sent)]


def _of_call(sent: Sent, staged: Staged, number: int, load: Exceeded) -> Sent:
    """Return the message as the call of this number has it: its own Call-ID, tags and branches."""
    key = staged.probe.key.encode()
    payload = sent.datagram.payload.replace(key, b"%b%d" % (key, number))
    at_ns = sent.at_ns + number * SECOND_NS // load.calls_per_second
    return replace(sent, at_ns=at_ns, datagram=msgspec.structs.replace(sent.datagram, payload=payload))
