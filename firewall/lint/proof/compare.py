"""Where two policies decide differently: every pair of rules between which a message's verdict changes, with one."""

from collections.abc import Iterable, Iterator, Sequence
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
from firewall.lint.setting import duration
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
class Verdict:
    """What one policy decides on the messages of a change. ``ban`` is how long their sender is shut out, as ``10m``."""

    verdict: str
    status: int | None
    ban: str | None
    reason: str
    rule: str | None
    line: int | None


@dataclass(slots=True)
class Change:
    """Messages whose verdict changes between the same two rules: one region of the difference.

    ``messages`` are their kinds. ``where`` are the conditions under which it happens: any of them, in each all;
    ``is_all`` is False where there are more. ``sent`` shows it: both engines decided on its last message.
    ``set_up``: so many of the first of them were sent before either policy was loaded.
    """

    flow: str
    is_emergency: bool
    sent: tuple[Sent, ...]
    before: Verdict
    after: Verdict
    mark: EmergencyMark | None
    set_up: int = 0
    messages: list[str] = field(default_factory=list)
    where: list[tuple[str, ...]] = field(default_factory=list)
    is_all: bool = True


@dataclass(frozen=True, slots=True)
class OneSided:
    """A message that a limit counts, or a shadow rule would decide on, under one of the policies only."""

    rule: str
    message: str
    is_before: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that was found. Nothing found, nothing unanswered and nothing cut is a proof that no verdict changes."""

    changes: tuple[Change, ...]
    counted: tuple[OneSided, ...]
    shadows: tuple[OneSided, ...]
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
        counted = tuple(self._one_sided(self._limits, groups))
        shadows = tuple(self._one_sided(self._shadows(), groups))
        if not self._changes:
            self._look_beyond(groups)
        return Comparison(
            tuple(self._changes.values()),
            counted,
            shadows,
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
            change = self._changes.setdefault((pair, is_emergency), shown)
            if change is shown:
                self._explore(case, pair, change, model)
            change.messages.append(label)
            blocked.append(-self._pair_literal(pair))
        self._is_cut = True

    def _explore(self, case: Case, pair: Pair, change: Change, first: Model) -> None:
        """Put into words when the two rules decide on this message: by one set of conditions, or by several."""
        both, model = self._pair_literal(pair), first
        goal = [both]
        while True:
            region = self._region(case.context, model, both)
            change.where.append(region.words)
            goal.append(-self._encoding.formula.all_of(region.literals))
            if not self._survey.is_possible(case.context, goal):
                return
            found = None
            if len(change.where) < _MAX_REGIONS:
                found = self._survey.find(case, goal, partial(self._judged, case))
            if found is None or isinstance(found, Undecided):
                change.is_all = found is None and len(change.where) < _MAX_REGIONS
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

    def _judged(self, case: Case, staged: Staged, model: Model) -> tuple[Change, Model] | Excluded | None:
        told = self._survey.decided(case, staged, model)
        if isinstance(told, Excluded):
            return told
        expected = self._expected(case.context, model)
        shown = self._shown(case, staged, staged.sent, told, expected)
        if shown is None:
            limited = [e for e in (*self._old.rules, *self._new.rules) if e.rule.limit is not None]
            free = [each.above for each in limited if each.above not in self._tied]
            if any(model.holds(each.above) for each in limited):
                unlike = [each.rule.limit for each in limited if each.above in free and each.rule.limit is not None]
                shown = self._shown_above(case, staged, told, expected, [*self._survey.exceeded(model), *unlike])
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
        self, case: Case, staged: Staged, sent: Sequence[Sent], told: Told, expected: tuple[Outcome, Outcome]
    ) -> Change | None:
        before, after = told.decisions
        (one, was), (other, is_now) = self._decided(before, 0), self._decided(after, 1)
        if (one, other) != expected:
            return None
        set_up = len(staged.sent) - 1 if told.is_taken_over else 0
        context, mark = case.context, before.emergency or after.emergency
        return Change(context.flow.name, self._is_emergency(context), tuple(sent), was, is_now, mark, set_up)

    def _decided(self, record: SipDecision, number: int) -> tuple[Outcome, Verdict]:
        fields = record.decision
        rule = self._policies[number].rule_named(fields.rule)
        status = rule.status if rule is not None and fields.verdict == "reject" else None
        ban_ns = rule.ban_ns if rule is not None and fields.reason == "rule" else None
        ban = duration(ban_ns) if ban_ns is not None else None
        verdict = Verdict(fields.verdict, status, ban, fields.reason, fields.rule, fields.line)
        return Outcome(fields.verdict, status, ban_ns), verdict

    def _shown_above(
        self, case: Case, staged: Staged, told: Told, expected: tuple[Outcome, Outcome], limits: Sequence[Limit]
    ) -> Change | None:
        is_taken_over = told.is_taken_over
        above = self._survey.exceeding(staged, limits, is_taken_over=is_taken_over)
        shown = (self._shown(case, staged, sent, Told(each, is_taken_over), expected) for sent, each in above)
        return next((each for each in shown if each is not None), None)

    def _shadows(self) -> Iterator[tuple[EncodedRule, EncodedRule]]:
        """Yield the rules that are in shadow mode in both policies."""
        after = {each.rule.name: each for each in self._new.rules if each.rule.shadow}
        for each in self._old.rules:
            if each.rule.shadow and each.rule.name in after:
                yield each, after[each.rule.name]

    def _one_sided(
        self, rules: Iterable[tuple[EncodedRule, EncodedRule]], groups: Sequence[list[Case]]
    ) -> Iterator[OneSided]:
        """Yield for rules that are the same one in both policies the first message that only one of them takes."""
        formula = self._encoding.formula
        for one, other in rules:
            only_before = formula.all_of([one.decides, -other.decides])
            differ = formula.any_of([only_before, formula.all_of([other.decides, -one.decides])])
            found = self._first(groups, [differ], only_before)
            if found is not None:
                yield OneSided(other.rule.name, *found)

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
