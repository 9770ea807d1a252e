"""Rules that change nothing: without them later rules do the same to all their messages. Each report is a proof."""

from collections.abc import Iterator, Sequence

from firewall.lint.finding import Finding
from firewall.lint.hygiene.cover import MAX_BESIDE, MAX_COVER, Covers
from firewall.lint.hygiene.reach import FEW_RULES, Reach, counts_always
from firewall.lint.hygiene.wording import finding_beside, listed
from firewall.ruleset.expression import atoms, base_field
from firewall.ruleset.policy import Policy, Rule

_MAX_BETWEEN = 300


class Redundancy:
    """Asks of every rule of a policy what would become of its messages without it."""

    def __init__(self, policy: Policy, reach: Reach) -> None:
        """Look at the rules that decide something, as ``reach`` has found."""
        self._policy = policy
        self._rules = policy.rules
        self._reach = reach

    def findings(self) -> Iterator[Finding]:
        """Yield the rules that could as well be deleted."""
        for number, rule in enumerate(self._rules):
            if number in self._reach.silent or rule.shadow or _is_floor(rule):
                continue
            same = self._same_later(number)
            if same:
                rules = [self._rules[other] for other in same]
                does = "does" if len(rules) == 1 else "do"
                message = f'rule "{rule.name}" changes nothing: {listed(rules)} {does} the same to all its messages'
                yield finding_beside("SOS202", message, rule, rules)

    def _same_later(self, number: int) -> list[int] | None:
        """Return the later rules that would decide the same on all that a rule decides; None where they would not."""
        rule = self._rules[number]
        sample = self._reach.samples.get(number)
        earlier = self._reach.takers.of(sample, 0, number) if sample is not None else ()
        if sample is None or any(counts_always(self._rules[each], rule) for each in earlier):
            return self._asked(number, self._reach.whole) if len(self._rules) <= FEW_RULES else None
        later = self._reach.takers.of(sample, number + 1, len(self._rules))
        hidden = self._reach.silent
        following = next((n for n in later if n not in hidden or not _is_alike(self._rules[n], rule)), None)
        if following is None or not self._is_same(following, rule):
            return None
        if len(self._rules) <= FEW_RULES:
            return self._asked(number, self._reach.whole)
        between = self._between(number, following)
        if len(between) > _MAX_BETWEEN:
            return None
        return self._asked(number, Covers(self._policy, [number, *between, following]))

    def _asked(self, number: int, covers: Covers) -> list[int] | None:
        rule = self._rules[number]
        decides = covers.rules[number].decides
        same: list[int] = []
        later = [
            each
            for each in covers.numbers
            if each > number
            and not self._rules[each].shadow
            and (each not in self._reach.silent or not _is_alike(self._rules[each], rule))
        ]
        # The rules before also count, where there are few: what they take this one does not decide.
        beside = [each for each in covers.numbers if each != number] if len(covers.numbers) <= MAX_BESIDE else []
        while len(same) <= MAX_COVER:
            model = covers.model(number, None, same, decides, beside=beside)
            if model is None:
                break
            found = next((each for each in later if model.holds(covers.rules[each].matches)), None)
            if found is None or not self._is_same(found, rule):
                return None
            same.append(found)
        same.sort()
        if not same or len(same) > MAX_COVER:
            return None
        # Others that do the same may stand before a rule that does not.
        more = [each for each in covers.numbers if number < each < same[-1] and self._is_same(each, rule)]
        for chosen in (same, sorted({*same, *more})):
            if len(chosen) <= MAX_COVER and not self._is_crossed(number, chosen, covers, beside):
                return chosen
        return None

    def _is_crossed(self, number: int, same: Sequence[int], covers: Covers, beside: Sequence[int]) -> bool:
        """Whether a rule between could take a message of the rule before one that does the same gets it."""
        decides = covers.rules[number].decides
        for each in self._between(number, same[-1]):
            before = [other for other in same if other < each]
            if covers.model(each, self._rules[number].when, before, decides, beside=beside) is not None:
                return True
        return False

    def _between(self, number: int, end: int) -> list[int]:
        """Return the rules between two that do something else; one that decides nothing may without the first."""
        rule = self._rules[number]
        return [
            each
            for each in range(number + 1, end)
            if not self._rules[each].shadow and not _is_alike(self._rules[each], rule)
        ]

    def _is_same(self, number: int, rule: Rule) -> bool:
        """Whether a rule does the same, and is not itself one to be deleted."""
        return (
            number not in self._reach.silent and not self._rules[number].shadow and _is_alike(self._rules[number], rule)
        )


def _is_alike(other: Rule, rule: Rule) -> bool:
    return other.limit is None and _effect(other) == _effect(rule)


def _is_floor(rule: Rule) -> bool:
    """Whether a rule lets emergencies pass whatever stands behind it: it is there for the day that this is changed."""
    read = (base_field(atom.operand).name for atom in atoms(rule.when))
    return rule.action == "allow" and any(name.startswith("emergency") for name in read)


def _effect(rule: Rule) -> tuple[object, ...]:
    return rule.action, rule.status if rule.action == "reject" else None, rule.ban_ns
