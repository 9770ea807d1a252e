"""Which rules together take all the messages of another: asked of the formula, and made few."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

from firewall.lint.hygiene.sample import ELSEWHERE
from firewall.lint.hygiene.world import World
from firewall.lint.proof.encoding import Encoding
from firewall.lint.proof.formula import Model
from firewall.ruleset.expression import Condition
from firewall.ruleset.policy import Policy, Rule

MAX_COVER = 40
"""What only more rules than these take together is not reported."""
MAX_BESIDE = 60
"""Of so many other rules the texts are told apart when a question would else stay open."""
_MAX_TRIED = 8

Counts = Callable[[Rule, Rule], bool]
"""Whether an earlier rule counts as one that takes a later rule's messages."""


class Covers:
    """Some rules of a policy, encoded: each question is about a rule and a condition its messages meet beside its own.

    ``budget`` is the number of questions that may be put; what is not asked is not reported.
    """

    def __init__(self, policy: Policy, numbers: Sequence[int], budget: int = 1_000_000) -> None:
        part = replace(policy, rules=tuple(policy.rules[number] for number in numbers))
        encoding = Encoding([part], elsewhere=[ELSEWHERE])
        self.world = World(encoding, part)
        self.numbers = numbers
        self.rules = dict(zip(numbers, encoding.policies[0].rules, strict=True))
        self._budget = budget

    @property
    def is_exhausted(self) -> bool:
        """Whether no more questions may be put."""
        return self._budget <= 0

    def is_met(self, condition: Condition | None) -> bool:
        """Tell whether, as far as is known, some message meets a condition."""
        return self._ask([self.world.literal(condition)], [condition]) is not None

    def is_always_met(self, condition: Condition) -> bool:
        """Tell whether every message meets a condition."""
        return self._ask([-self.world.literal(condition)], [condition]) is None

    def model(
        self,
        number: int,
        condition: Condition | None,
        without: Sequence[int],
        *more: int,
        beside: Sequence[int] = (),
    ) -> Model | None:
        """Return a message of a rule that none of ``without`` takes; None proves that there is none.

        What the model says of other rules holds as far as texts go only of those ``beside``.
        """
        own = self.rules[number]
        goal = [own.matches, self.world.literal(condition), *(-self.rules[each].matches for each in without), *more]
        others = [self.rules[each].rule.when for each in (*without, *beside)]
        return self._ask(goal, [own.rule.when, condition, *others])

    def is_covered(self, number: int, condition: Condition | None, cover: Sequence[int]) -> bool:
        """Tell whether these rules surely take all that a rule could take of what meets a condition."""
        return self.model(number, condition, cover) is None

    def cover(
        self, number: int, condition: Condition | None, taking: Sequence[int], counts: Counts
    ) -> list[int] | None:
        """Return few earlier rules that take all of it, () where nothing is left to take; None where there are none.

        ``taking`` are rules that take some of it, if any are known.
        """
        if self.rules[number].rule.schedule is not None and self.is_covered(number, condition, ()):
            return []
        for each in taking[:_MAX_TRIED]:
            if self.is_covered(number, condition, [each]):
                return [each]
        found = self._found(number, condition, taking[:1], counts)
        return self._fewest(number, condition, found) if found is not None else None

    def _ask(self, goal: Sequence[int], conditions: Sequence[Condition | None]) -> Model | None:
        self._budget -= 1
        return self.world.ask(goal, conditions)

    def _found(
        self, number: int, condition: Condition | None, first: Sequence[int], counts: Counts
    ) -> list[int] | None:
        """Add the rules that take what the others leave, until nothing is left."""
        cover = list(first)
        rule = self.rules[number].rule
        earlier = [each for each in self.numbers if each < number and counts(self.rules[each].rule, rule)]
        beside: Sequence[int] = ()
        while len(cover) <= MAX_COVER and not self.is_exhausted:
            model = self.model(number, condition, cover, beside=beside)
            if model is None:
                return cover
            found = next((each for each in earlier if model.holds(self.rules[each].matches)), None)
            if found is not None:
                cover.append(found)
            elif beside or not 0 < len(earlier) <= MAX_BESIDE:
                return None
            else:
                beside = earlier
        return None

    def _fewest(self, number: int, condition: Condition | None, cover: Sequence[int]) -> list[int]:
        for size in (0, 1, 2):
            if size == 2 and len(cover) > _MAX_TRIED:
                break
            for few in combinations(sorted(cover), size):
                if self.is_covered(number, condition, few):
                    return list(few)
        kept = sorted(cover)
        for each in list(kept):
            fewer = [other for other in kept if other != each]
            if self.is_covered(number, condition, fewer):
                kept = fewer
        return kept
