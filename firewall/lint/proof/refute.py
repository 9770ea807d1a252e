"""Prove that no message of an emergency call is blocked, or find the call, by asking the formula in every context."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from firewall.lint.probe import Blocked, Questioner
from firewall.lint.proof.asking import Asker, Unanswered, Undecided
from firewall.lint.proof.context import Context
from firewall.lint.proof.encoding import EncodedPolicy, EncodedRule
from firewall.lint.proof.witness import Staged, relabelled, run
from firewall.lint.script import Role
from firewall.ruleset.policy import Rule

MAX_FINDINGS = 50
"""Of so many guilty rules a call is shown; a policy that blocks more is refuted all the same."""


_MAX_LISTED = 10
"""Of so many guilty rules lint lists what else they block."""

Part = Role | Literal["test"]
PARTS: tuple[Part, ...] = ("initial", "mid_call", "callback", "text", "registration", "keepalive", "test")


@dataclass(frozen=True, slots=True)
class Refuted:
    """A call that one rule, or the default, blocks; ``also`` are the other messages of its kind that it blocks."""

    blocked: Blocked
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shadowed:
    """A shadow rule that would block a message of an emergency call, or a keep-alive, or both; and the calls."""

    rule: Rule
    shown: tuple[Staged, ...]


class Refuter:
    """Looks for emergency messages that one policy blocks."""

    def __init__(self, encoded: EncodedPolicy, asker: Asker, questioner: Questioner) -> None:
        self._encoded = encoded
        self._asker = asker
        self._questioner = questioner
        self._found: dict[tuple[Part, str | None], Refuted] = {}
        self._undecided: dict[tuple[Part, str | None], Unanswered] = {}
        self._below = [-each.above for each in encoded.rules if each.rule.limit is not None]
        self._blocking: dict[str | None, int] = {
            each.rule.name: each.decides for each in encoded.rules if _blocks(each)
        }

    @property
    def found(self) -> list[Refuted]:
        """What each rule blocks, the first request of a call before all else."""
        return list(self._found.values())

    @property
    def unanswered(self) -> list[Unanswered]:
        """The questions without an answer."""
        return [each for (part, rule), each in self._undecided.items() if not self._is_known(part, rule)]

    def refute(self, contexts: Mapping[Context, tuple[str, ...]]) -> None:
        """Ask in every context about every rule that blocks, and about the default; limits are not exceeded.

        Each context comes with the labels of all the messages it stands for.
        """
        for context in sorted(contexts, key=lambda each: PARTS.index(part_of(each))):
            self._ask_all(context)

    def list_others(self, contexts: Mapping[Context, tuple[str, ...]]) -> None:
        """Find what else each guilty rule blocks, beside the call that shows it."""
        for (part, name), refuted in list(self._found.items())[:_MAX_LISTED]:
            self._found[part, name] = replace(refuted, also=self._also(contexts, part, name, refuted))

    def shadowed(self, contexts: Sequence[Context]) -> list[Shadowed]:
        """Return the shadow rules that would block, each with the first call found, and the first keep-alive."""
        found = []
        keepalives = [context for context in contexts if part_of(context) == "keepalive"]
        calls = [context for context in contexts if part_of(context) != "keepalive"]
        for each in self._encoded.rules:
            if not each.rule.shadow or each.rule.action == "allow" or each.rule.limit is not None:
                continue
            shown = (self._first_shadowed(each, alike) for alike in (calls, keepalives))
            found.append(Shadowed(each.rule, tuple(staged for staged in shown if staged is not None)))
        return [each for each in found if each.shown]

    def _first_shadowed(self, each: EncodedRule, contexts: Sequence[Context]) -> Staged | None:
        goal = [*self._below, each.decides]
        answers = (self._asker.ask(context, goal, self._shadowed_by(each.rule)) for context in contexts)
        return next((answer for answer in answers if isinstance(answer, Staged)), None)

    def _shadowed_by(self, rule: Rule) -> Callable[[Staged], Staged | None]:
        def accept(staged: Staged) -> Staged | None:
            # What other rules block of the call before is not its doing: the guard lets that pass.
            answer = run(staged, self._questioner, guard="enforce")
            decision = answer.decision if isinstance(answer, Blocked) else answer
            would = any(shadow.rule == rule.name for shadow in decision.decision.shadow)
            return staged if would else None

        return accept

    def _ask_all(self, context: Context) -> None:
        """Find every rule that blocks a message of this context, one after the other."""
        formula = self._asker.encoding.formula
        culprits = self._culprits(context)
        while culprits and len(self._found) < MAX_FINDINGS:
            goal = formula.any_of(culprits.values())
            answer = self._asker.ask(context, [*self._below, goal], partial(self._blocked, context))
            if answer is None:
                return
            if isinstance(answer, Undecided):
                self._leave_open(context, culprits, answer)
                return
            name = answer.decision.decision.rule
            self._found.setdefault((part_of(context), name), Refuted(answer))
            if culprits.pop(name, None) is None:
                return  # an earlier message of the call is blocked already, by another rule

    def _also(
        self, contexts: Mapping[Context, tuple[str, ...]], part: Part, name: str | None, refuted: Refuted
    ) -> tuple[str, ...]:
        """Return what other messages of the same part the same rule blocks."""
        found, asked = {refuted.blocked.step.label: None}, set[str]()
        for context, labels in contexts.items():
            literal = self._literals(context).get(name)
            if part_of(context) != part or literal is None or asked.issuperset(labels):
                continue
            answer = self._asker.ask(context, [*self._below, literal], partial(self._blocked, context))
            if isinstance(answer, Blocked):
                asked.update(labels)
                found |= dict.fromkeys(relabelled(label, answer.sent[-1].datagram.payload) for label in labels)
        return tuple(found)[1:]

    def _leave_open(self, context: Context, culprits: Mapping[str | None, int], undecided: Undecided) -> None:
        """Name the rule that an open question is about."""
        for name, literal in culprits.items():
            if undecided.model.holds(literal):
                self._undecided.setdefault((part_of(context), name), Unanswered(context, name, undecided.reason))

    def _culprits(self, context: Context) -> dict[str | None, int]:
        """Return what could block a message of this context and is not known to: rules by name, None is the default."""
        part, culprits = part_of(context), self._literals(context)
        for _, name in self._found:
            if self._is_known(part, name):
                culprits.pop(name, None)
        return culprits

    def _literals(self, context: Context) -> dict[str | None, int]:
        literals = dict(self._blocking)
        if self._encoded.policy.default == "drop" and not context.follows:
            literals[None] = self._encoded.unmatched
        return literals

    def _is_known(self, part: Part, rule: str | None) -> bool:
        """Tell whether nothing new could be said: a rule that stops calls at once is not asked about later messages."""
        at_once = part != "keepalive" and rule is not None and ("initial", rule) in self._found
        return at_once or (part, rule) in self._found

    def _blocked(self, context: Context, staged: Staged) -> Blocked | None:
        answer = run(staged, self._questioner)
        if not isinstance(answer, Blocked):
            return None
        if context.follows and answer.sent[-1] is staged.sent[-1] and answer.decision.decision.reason == "default":
            return None  # the message as written does not belong to its call, so it says nothing about the rules
        if answer.sent[-1] is not staged.sent[-1]:
            return self._blocked_later(staged) or answer
        return answer

    def _blocked_later(self, staged: Staged) -> Blocked | None:
        """Where an earlier message is blocked too: what becomes of the last one when the guard saves the others."""
        guarded = run(staged, self._questioner, guard="enforce")
        last = guarded if isinstance(guarded, Blocked) and guarded.sent[-1] is staged.sent[-1] else None
        return last if last is not None and self._questioner.confirms(last.witness()) else None


def part_of(context: Context) -> Part:
    """What the message is to the call; a test call is its own kind."""
    return "test" if context.form.is_test and context.flow.form_flow is not None else context.step.role


def _blocks(each: EncodedRule) -> bool:
    return each.rule.action != "allow" and not each.rule.shadow and each.rule.limit is None
