"""Which rules together take all the messages of another: asked of the formula, as few as there can be."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from firewall.lint.language.core import needed
from firewall.lint.proof.encoding import Encoding
from firewall.lint.proof.formula import Model
from firewall.lint.proof.world import World
from firewall.ruleset.expression import Condition
from firewall.ruleset.policy import Policy, Rule

MAX_COVER = 40
"""What only more rules than these take together is not reported."""
MAX_BESIDE = 60
"""Of so many other rules the texts are told apart when a question would else stay open."""
_MAX_TRIED = 8
_MAX_MESSAGES = 25
"""With more the fewest rules that take one of each may take minutes to find."""

Counts = Callable[[Rule, Rule], bool]
"""Whether an earlier rule counts as one that takes a later rule's messages."""


class Covers:
    """Some rules of a policy, encoded: each question is about a rule and a condition its messages meet beside its own.

    ``budget`` is the number of questions that may be put; what is not asked is not reported.
    """

    def __init__(self, policy: Policy, numbers: Sequence[int], budget: int = 1_000_000) -> None:
        part = replace(policy, rules=tuple(policy.rules[number] for number in numbers))
        encoding = Encoding([part])
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
        self._budget -= 1
        return self.world.is_met(condition)

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
        """Return the fewest earlier rules that take all of it, () where nothing is left; None where there are none.

        ``taking`` are rules that take some of it, if any are known.
        """
        if self.rules[number].rule.schedule is not None and self.is_covered(number, condition, ()):
            return []
        for each in taking[:_MAX_TRIED]:
            if self.is_covered(number, condition, [each]):
                return [each]
        found = self._found(number, condition, taking[:1], counts)
        return self._smallest(number, condition, found, counts) if found is not None else None

    def _ask(self, goal: Sequence[int], conditions: Sequence[Condition | None]) -> Model | None:
        self._budget -= 1
        return self.world.ask(goal, conditions)

    def _found(
        self, number: int, condition: Condition | None, first: Sequence[int], counts: Counts
    ) -> list[int] | None:
        """Add the rules that take what the others leave, until nothing is left."""
        cover = list(first)
        earlier = self._earlier(number, counts)
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

    def _earlier(self, number: int, counts: Counts) -> list[int]:
        rule = self.rules[number].rule
        return [each for each in self.numbers if each < number and counts(self.rules[each].rule, rule)]

    def _smallest(self, number: int, condition: Condition | None, cover: Sequence[int], counts: Counts) -> list[int]:
        """Return a smallest cover: any has for each message of the rule one that takes it, and so few do that for all.

        Messages are asked for until the fewest rules that take all those seen take everything.
        """
        kept = needed(sorted(cover), lambda few: self.is_covered(number, condition, few))
        if len(kept) < 2:
            return kept
        from pysat.examples.hitman import Hitman  # slow to import, and seldom needed

        earlier = self._earlier(number, counts)
        beside = earlier if len(earlier) <= MAX_BESIDE else ()
        with Hitman(solver="minisat22", htype="sorted") as fewest:
            for _ in range(_MAX_MESSAGES):
                few = fewest.get()
                if len(few) == len(kept) or self.is_exhausted:
                    break
                model = self.model(number, condition, few, beside=beside)
                if model is None:
                    return sorted(few)
                takers = [each for each in earlier if model.holds(self.rules[each].matches)]
                if not takers:
                    break
                fewest.hit(takers)
        return kept
