"""Limits and bans by limit: which of them cut into the calls of a disaster, with the calls that show it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import merge

import msgspec

from firewall.lint.finding import Sent
from firewall.lint.instant import SECOND_NS
from firewall.lint.probe import Blocked, Questioner, decide
from firewall.lint.proof.asking import Asker, Unanswered, Undecided
from firewall.lint.proof.context import Context
from firewall.lint.proof.encoding import EncodedPolicy, EncodedRule
from firewall.lint.proof.load import Exceeded, exceeded
from firewall.lint.proof.witness import Staged
from firewall.ruleset.policy import Rule

MAX_MESSAGES = 20_000
"""A surge with more messages than these before the limit is reached is computed, not shown."""


@dataclass(frozen=True, slots=True)
class Surged:
    """A limit that the surge exceeds; ``blocked`` shows the call it cuts into, where that takes few enough messages."""

    rule: Rule
    load: Exceeded
    context: Context
    src_ip: str
    blocked: Blocked | None


def surged(
    encoded: EncodedPolicy, asker: Asker, questioner: Questioner, contexts: Sequence[Context]
) -> list[Surged | Unanswered]:
    """Return every limit that blocks and that the policy's surge exceeds, or why that is not known."""
    answers = [
        _of_rule(each, encoded, asker, questioner, contexts)
        for each in encoded.rules
        if each.rule.limit is not None and each.rule.action != "allow" and not each.rule.shadow
    ]
    return [answer for answer in answers if answer is not None]


def _of_rule(
    each: EncodedRule, encoded: EncodedPolicy, asker: Asker, questioner: Questioner, contexts: Sequence[Context]
) -> Surged | Unanswered | None:
    below = [-other.above for other in encoded.rules if other.rule.limit is not None and other is not each]
    unanswered: Unanswered | None = None
    for context in contexts:
        staged = asker.ask(context, [*below, each.above, each.decides], lambda found: found)
        if isinstance(staged, Undecided):
            unanswered = unanswered or Unanswered(context, each.rule.name, staged.reason)
        elif staged is not None:
            whole = staged.whole()
            load = exceeded(each.rule, whole.sent, questioner.policy)
            if load is not None:
                src_ip = staged.sent[-1].datagram.src_ip
                return Surged(each.rule, load, context, src_ip, _shown(each.rule, load, whole, questioner))
    return unanswered


def _shown(rule: Rule, load: Exceeded, staged: Staged, questioner: Questioner) -> Blocked | None:
    """Send the surge through an engine up to the call that the limit cuts into."""
    calls = load.call + 1
    if calls * len(staged.sent) > MAX_MESSAGES:
        return None
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
