"""Where two policies decide differently: every pair of rules between which a message's verdict changes, with one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from firewall.engine.record import SipDecision
from firewall.lint.finding import Sent
from firewall.lint.proof.asking import Excluded, Undecided
from firewall.lint.proof.canonical import canonical_policies
from firewall.lint.proof.context import Context
from firewall.lint.proof.decision import Outcome
from firewall.lint.proof.encoding import EncodedRule, Encoding
from firewall.lint.proof.formula import Model
from firewall.lint.proof.region import Region
from firewall.lint.proof.survey import Case, Survey, Told
from firewall.lint.proof.traffic import Chain, chains, plain_ends
from firewall.lint.proof.witness import Staged
from firewall.ruleset.expression import base_field
from firewall.ruleset.facts import EmergencyMark
from firewall.ruleset.policy import Limit, Policy, Rule

MAX_CHANGES = 100
"""So many changes are shown; when there are more, that is said."""
_MAX_REGIONS = 3

MAX_UNANSWERED = 10
"""After so many questions without an answer no more are asked."""

Pair = tuple[int | None, int | None]
"""The rules that decide, before and after, by their numbers; None: no rule."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What an engine decided on a message: the outcome, and the rule that did it (None: none did)."""

    outcome: Outcome
    reason: str
    rule: str | None
    line: int | None


@dataclass(frozen=True, slots=True)
class Shown:
    """A message on which both engines were asked: all that was sent, the decisions on the last of it.

    ``set_up``: so many of the first of them were sent before either policy was loaded.
    """

    sent: tuple[Sent, ...]
    before: Decided
    after: Decided
    mark: EmergencyMark | None
    set_up: int


@dataclass(slots=True)
class Change:
    """Messages whose verdict changes between the same two rules. ``regions`` say of which this is so, in words.

    ``is_all``: these regions are all of it; otherwise they are some of it.
    """

    pair: Pair
    is_emergency: bool
    flow: str
    messages: list[str]
    shown: Shown
    regions: list[Region] = field(default_factory=list)
    is_all: bool = True


@dataclass(frozen=True, slots=True)
class Counted:
    """A limit that counts a message under one of the policies only."""

    before: Rule
    after: Rule
    message: str
    is_counted_before: bool


@dataclass(frozen=True, slots=True)
class Shadowing:
    """A shadow rule, in both policies, that would decide on a message under one of them only."""

    name: str
    message: str
    is_before: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that was found. Nothing found, nothing unanswered and nothing cut is a proof that no verdict changes."""

    changes: tuple[Change, ...]
    counted: tuple[Counted, ...]
    shadows: tuple[Shadowing, ...]
    unanswered: tuple[str, ...]
    is_cut: bool
    messages: int
    kinds: int
    questions: int


def compare(old: Policy, new: Policy) -> Comparison:
    """Return every change of a verdict between two policies, each shown by a message that both engines decided on."""
    return _Comparer(old, new).compare()


class _Comparer:
    def __init__(self, old: Policy, new: Policy) -> None:
        self._encoding = Encoding(canonical_policies([old, new]))
        self._old, self._new = self._encoding.policies
        self._survey = Survey(self._encoding, [old, new])
        self._policies = (old, new)
        self._limits = list(_same_limits(self._old.rules, self._new.rules))
        self._tied = {each.above for pair in self._limits for each in pair}
        for one, other in self._limits:
            self._encoding.formula.add([-one.above, other.above])
            self._encoding.formula.add([one.above, -other.above])
        self._changes: dict[tuple[Pair, bool], Change] = {}
        self._unanswered: dict[str, None] = {}
        self._is_cut = False

    def compare(self) -> Comparison:
        old, new = self._policies
        every = self._chains(old)
        if not self._survey.is_alike:
            every += self._chains(new)
        groups = list(self._survey.cases(every))
        for group in groups:
            self._changes_in(group)
        counted = [each for pair in self._limits if (each := self._counted(*pair, groups)) is not None]
        shadows = [told for name in self._shadow_names() if (told := self._shadowing(name, groups)) is not None]
        if not self._changes:
            self._look_beyond(groups)
        return Comparison(
            tuple(self._changes.values()),
            tuple(counted),
            tuple(shadows),
            tuple(self._unanswered),
            self._is_cut,
            sum(len(chain) for chain in every),
            len(groups),
            self._survey.questions,
        )

    def _chains(self, policy: Policy) -> list[Chain]:
        """Return all messages as a policy recognises them."""
        atoms = [atom for atom, _ in self._encoding.atoms()]
        every, untold = chains(policy, atoms, plain_ends(policy))
        self._unanswered.update(dict.fromkeys(f"a message of an emergency call: {each}" for each in untold))
        return every

    def _differ(self, context: Context) -> int:
        formula = self._encoding.formula
        before, after = (self._survey.outcomes(context, number) for number in (0, 1))
        return formula.any_of(
            formula.all_of([literal, -after.get(outcome, formula.false)]) for outcome, literal in before.items()
        )

    def _changes_in(self, group: Sequence[Case]) -> None:
        """Find every pair of rules between which the messages of one kind change."""
        context = group[0].context
        differ = self._differ(context)
        if not self._survey.is_possible(context, [differ]):
            return
        for case in group:
            self._changes_of(case, differ)

    def _changes_of(self, case: Case, differ: int) -> None:
        label, is_emergency = case.context.step.label, self._is_emergency(case.context)
        blocked = [
            -self._pair_literal(pair)
            for (pair, of_emergencies), change in self._changes.items()
            if of_emergencies == is_emergency and label in change.messages
        ]
        while len(self._changes) < MAX_CHANGES and len(self._unanswered) < MAX_UNANSWERED:
            found = self._survey.find(case, [differ, *blocked], partial(self._judged, case))
            if found is None:
                return
            if isinstance(found, Undecided):
                self._leave_open(case, found)
                return
            shown, model = found
            pair = (self._decider(0, model), self._decider(1, model))
            change = self._changes.get((pair, is_emergency))
            if change is None:
                change = Change(pair, is_emergency, case.context.flow.name, [], shown)
                self._changes[pair, is_emergency] = change
                self._explore(case, change, model)
            change.messages.append(label)
            blocked.append(-self._pair_literal(pair))
        self._is_cut = True

    def _explore(self, case: Case, change: Change, first: Model) -> None:
        """Put into words when the two rules decide on this message: by one set of conditions, or by several."""
        both, model = self._pair_literal(change.pair), first
        while True:
            change.regions.append(self._region(case.context, model, both))
            goal = [both, *(-self._encoding.formula.all_of(region.literals) for region in change.regions)]
            if not self._survey.is_possible(case.context, goal):
                return
            found = None
            if len(change.regions) < _MAX_REGIONS:
                found = self._survey.find(case, goal, partial(self._judged, case))
            if found is None or isinstance(found, Undecided):
                change.is_all = found is None and len(change.regions) < _MAX_REGIONS
                return
            model = found[1]

    def _is_emergency(self, context: Context) -> bool:
        return any(self._survey.facts(context, number)[0].emergency is not None for number in (0, 1))

    def _decider(self, number: int, model: Model) -> int | None:
        rules = self._encoding.policies[number].rules
        return next((i for i, each in enumerate(rules) if not each.rule.shadow and model.holds(each.decides)), None)

    def _pair_literal(self, pair: Pair) -> int:
        return self._encoding.formula.all_of(
            encoded.unmatched if index is None else encoded.rules[index].decides
            for encoded, index in zip((self._old, self._new), pair, strict=True)
        )

    def _region(self, context: Context, model: Model, both: int) -> Region:
        """Return conditions that are enough for the same two rules to decide: what the model has of them."""
        formula, encoding = self._encoding.formula, self._encoding
        fixed = self._survey.assumed(context)
        chosen: dict[int, None] = {}
        for literal in self._conditions():
            chosen[literal if model.holds(literal) else -literal] = None
        formula.is_possible([*fixed, *chosen, -both])
        core = [literal for literal in formula.core() if literal in chosen]
        needed = self._survey.smaller([*fixed, -both], core)
        in_order = sorted(needed, key=lambda literal: (literal < 0, abs(literal)))
        return Region.of(in_order, encoding, (self._old, self._new))

    def _conditions(self) -> Iterator[int]:
        for _, literal in self._encoding.atoms():
            yield literal
        yield from self._encoding.schedules().values()
        for each in (*self._old.rules, *self._new.rules):
            if each.rule.limit is not None:
                yield each.above

    def _judged(self, case: Case, staged: Staged, model: Model) -> tuple[Shown, Model] | Excluded | None:
        told = self._survey.decided(case, staged, model)
        if isinstance(told, Excluded):
            return told
        expected = self._expected(case.context, model)
        shown = self._shown(staged, staged.sent, told, expected)
        if shown is None:
            limited = [e for e in (*self._old.rules, *self._new.rules) if e.rule.limit is not None]
            free = [each.above for each in limited if each.above not in self._tied]
            if any(model.holds(each.above) for each in limited):
                unlike = [each.rule.limit for each in limited if each.above in free and each.rule.limit is not None]
                shown = self._shown_above(staged, told, expected, [*self._survey.exceeded(model), *unlike])
            if shown is None and free:
                # Limits that are not the same in both policies: not every mixture of above and below can be brought
                # about, and that they differ is told by their numbers.
                return Excluded(tuple(above if model.holds(above) else -above for above in free))
        return None if shown is None else (shown, model)

    def _expected(self, context: Context, model: Model) -> tuple[Outcome, Outcome]:
        """Return the outcomes that the formula says."""
        first, second = (
            next(each for each, literal in self._survey.outcomes(context, number).items() if model.holds(literal))
            for number in (0, 1)
        )
        return first, second

    def _shown(
        self, staged: Staged, sent: Sequence[Sent], told: Told, expected: tuple[Outcome, Outcome]
    ) -> Shown | None:
        before, after = told.decisions
        one, other = self._decided(before, 0), self._decided(after, 1)
        if (one.outcome, other.outcome) != expected:
            return None
        set_up = len(staged.sent) - 1 if told.is_taken_over else 0
        return Shown(tuple(sent), one, other, before.emergency or after.emergency, set_up)

    def _decided(self, record: SipDecision, number: int) -> Decided:
        fields = record.decision
        rule = self._policies[number].rule_named(fields.rule)
        status = rule.status if rule is not None and fields.verdict == "reject" else None
        ban_ns = rule.ban_ns if rule is not None and fields.reason == "rule" else None
        return Decided(Outcome(fields.verdict, status, ban_ns), fields.reason, fields.rule, fields.line)

    def _shown_above(
        self, staged: Staged, told: Told, expected: tuple[Outcome, Outcome], limits: Sequence[Limit]
    ) -> Shown | None:
        is_taken_over = told.is_taken_over
        for sent, decisions in self._survey.exceeding(staged, limits, is_taken_over=is_taken_over):
            shown = self._shown(staged, sent, Told(decisions, is_taken_over), expected)
            if shown is not None:
                return shown
        return None

    def _counted(self, one: EncodedRule, other: EncodedRule, groups: Sequence[list[Case]]) -> Counted | None:
        """Return a message that only one of two equal limits counts."""
        found = self._decided_by_one(one, other, groups, one.above)
        return Counted(one.rule, other.rule, *found) if found is not None else None

    def _shadow_names(self) -> list[str]:
        after = {each.rule.name for each in self._new.rules if each.rule.shadow}
        return [each.rule.name for each in self._old.rules if each.rule.shadow and each.rule.name in after]

    def _shadowing(self, name: str, groups: Sequence[list[Case]]) -> Shadowing | None:
        one, other = (next(e for e in p.rules if e.rule.name == name) for p in (self._old, self._new))
        found = self._decided_by_one(one, other, groups)
        return None if found is None else Shadowing(name, *found)

    def _decided_by_one(
        self, one: EncodedRule, other: EncodedRule, groups: Sequence[list[Case]], *goal: int
    ) -> tuple[str, bool] | None:
        """Return the first message on which one of two rules only decides, and whether it is the first of them."""
        formula = self._encoding.formula
        only_before = formula.all_of([one.decides, -other.decides])
        differ = formula.any_of([only_before, formula.all_of([other.decides, -one.decides])])
        return self._first(groups, [*goal, differ], only_before)

    def _first(self, groups: Sequence[list[Case]], goal: list[int], marker: int) -> tuple[str, bool] | None:
        """Return the first message that meets a goal, and whether the marker holds of it."""
        for group in groups:
            if not self._survey.is_possible(group[0].context, goal):
                continue
            for case in group:
                found = self._survey.find(case, goal, partial(self._reached, case, marker))
                if isinstance(found, Undecided):
                    self._leave_open(case, found)
                elif found is not None:
                    return found
        return None

    def _leave_open(self, case: Case, undecided: Undecided) -> None:
        self._unanswered.setdefault(f"{case.context.step.label} ({case.context.flow.name}): {undecided.reason}")

    def _reached(self, case: Case, marker: int, staged: Staged, model: Model) -> tuple[str, bool] | Excluded | None:
        told = self._survey.decided(case, staged, model)
        if isinstance(told, Excluded):
            return told
        return f"{case.context.step.label} ({case.context.flow.name})", model.holds(marker)

    def _look_beyond(self, groups: Sequence[list[Case]]) -> None:
        """Where a rule looks at a thing that no message here has, or all have, nothing is known of the others."""
        never_varied = self._never_varied(groups)
        for group in groups:
            context = group[0].context
            fields = self._survey.beyond(context, [self._differ(context)], never_varied)
            if fields is not None:
                self._unanswered.setdefault(f"the rules look at {fields} in a way that no message tried here shows")
                return

    def _never_varied(self, groups: Sequence[list[Case]]) -> dict[int, str]:
        """Return the literals of atoms of our own that are the same in every context, with their fields."""
        seen: dict[int, set[bool]] = {}
        for group in groups:
            for literal in self._survey.assumed(group[0].context):
                seen.setdefault(abs(literal), set()).add(literal > 0)
        return {
            literal: base_field(atom.operand).name
            for (_, atom), literal in self._encoding.own.items()
            if len(seen.get(literal, ())) == 1
        }


def _same_limits(old: Sequence[EncodedRule], new: Sequence[EncodedRule]) -> Iterator[tuple[EncodedRule, EncodedRule]]:
    """Yield the rules with limits that are the same bucket in both policies: by name, then by order."""
    limited = [each for each in new if each.rule.limit is not None]
    left = []
    for one in old:
        if one.rule.limit is None:
            continue
        other = next((e for e in limited if e.rule.name == one.rule.name and _alike(e.rule, one.rule)), None)
        if other is None:
            left.append(one)
        else:
            limited.remove(other)
            yield one, other
    for one in left:
        other = next((e for e in limited if _alike(e.rule, one.rule)), None)
        if other is not None:
            limited.remove(other)
            yield one, other


def _alike(one: Rule, other: Rule) -> bool:
    first, second = one.limit, other.limit
    return first is not None and second is not None and replace(first, text="") == replace(second, text="")
