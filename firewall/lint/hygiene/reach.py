"""Which rules decide anything: never true, always true, unreachable, partly shadowed. Each report is a proof."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from firewall.lint.finding import Finding
from firewall.lint.hygiene.alternative import alternatives
from firewall.lint.hygiene.cover import Counts, Covers
from firewall.lint.hygiene.sample import Sampler
from firewall.lint.hygiene.taker import Takers
from firewall.lint.hygiene.wording import finding_beside, listed
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.expression import Comparison, Condition, Field, signed_atoms
from firewall.ruleset.facts import Facts
from firewall.ruleset.policy import Policy, Rule
from firewall.ruleset.text import expression_text

FEW_RULES = 300
"""A policy of no more rules is asked about as a whole; of a longer one parts are, with the rules that matter."""
_WORK = 1_000_000
"""Rules times questions about all of them: what a question costs grows with the rules."""
_MAX_ALTERNATIVES = 200
_MAX_TAKING = 8
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A rule, or the part of it that meets ``condition``, of which no message was found that reaches it.

    ``taking`` are the earlier rules that take the messages tried, () where none could be made.
    """

    number: int
    condition: Condition | None
    taking: tuple[int, ...]
    has_sample: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Dead:
    """A suspect that is guilty: the rules that cover it. Without a sample and a cover its condition is never true."""

    suspect: _Suspect
    cover: tuple[int, ...]
    is_never_true: bool


class Reach:
    """Asks of every rule of a policy whether it decides anything."""

    def __init__(self, policy: Policy) -> None:
        self._rules = policy.rules
        self.policy = policy
        self.sampler = Sampler(policy)
        self.takers = Takers(policy.rules)
        self.samples: dict[int, Facts | None] = {}
        """A message for each rule that meets its condition, where one was found."""
        self._reaching: dict[int, Facts] = {}
        self.silent: set[int] = set()
        """The rules that decide nothing."""
        self._first = {True: len(self._rules), False: len(self._rules)}
        for number, rule in reversed(list(enumerate(self._rules))):
            if counts_always(rule, rule):
                self._first[rule.action == "allow"] = number

    @cached_property
    def whole(self) -> Covers:
        """All the rules, encoded when they are first asked about together."""
        return Covers(self.policy, range(len(self._rules)), _WORK // max(len(self._rules), 1) + 100)

    def findings(self) -> Iterator[Finding]:
        """Yield what is to be said about the rules."""
        yield from self._always_true()
        whole = [
            self._suspect(number, rule.when, rule.matches, counts_always) for number, rule in enumerate(self._rules)
        ]
        for dead in self._guilty([each for each in whole if each is not None], counts_always):
            self.silent.add(dead.suspect.number)
            yield self._silent_rule(dead)
        parts: dict[int, list[_Dead]] = {}
        for dead in self._guilty(list(self._suspect_parts()), counts_opposite):
            if dead.cover:
                parts.setdefault(dead.suspect.number, []).append(dead)
        for number, dead_parts in parts.items():
            yield self._silent_parts(self._rules[number], dead_parts)

    def rule(self, number: int) -> Rule:
        """Return a rule by its number, from 0."""
        return self._rules[number]

    def _always_true(self) -> Iterator[Finding]:
        plain = list(self.sampler.made_for(None))
        for rule in self._rules:
            if (
                rule.when is not None
                and all(rule.matches(each) for each in plain)
                and self.whole.is_always_met(rule.when)
            ):
                yield Finding.about("SOS220", f'the condition of rule "{rule.name}" is true of every message', rule)

    def _suspect(
        self, number: int, condition: Condition | None, meets: Callable[[Facts], bool], counts: Counts, text: str = ""
    ) -> _Suspect | None:
        """Return a rule whose messages, as far as some were tried, earlier rules take; None for one that is reached."""
        rule = self._rules[number]
        sample: Facts | None = None
        taking: tuple[int, ...] = ()
        for made in self.sampler.made_for(condition):
            if not meets(made) or not rule.matches(made):
                continue
            sample = sample or made
            found = (each for each in self.takers.of(made, 0, number) if counts(self._rules[each], rule))
            first = [each for each, _ in zip(found, range(_MAX_TAKING), strict=False)]
            if not first and rule.schedule is None:
                sample = self._reaching[number] = made
                break
            taking = taking or tuple(first)
        else:
            self.samples.setdefault(number, sample)
            return _Suspect(number, condition, taking, sample is not None, text)
        self.samples.setdefault(number, sample)
        return None

    def _suspect_parts(self) -> Iterator[_Suspect]:
        for number, rule in enumerate(self._rules):
            if number in self.silent or self._first[rule.action != "allow"] >= number:
                continue
            reaching = self._reaching.get(number)
            for text, condition in alternatives(rule.when)[:_MAX_ALTERNATIVES]:
                meets = compile_condition(condition)
                if reaching is not None and meets(reaching):
                    continue
                suspect = self._suspect(number, condition, meets, counts_opposite, text)
                if suspect is not None and (suspect.taking or not suspect.has_sample):
                    yield suspect

    def _guilty(self, suspects: Sequence[_Suspect], counts: Counts) -> Iterator[_Dead]:
        if len(self._rules) <= FEW_RULES:
            for suspect in suspects:
                dead = _judged(suspect, self.whole, counts)
                if dead is not None:
                    yield dead
            return
        for some in _batches(suspects):
            numbers = sorted({number for each in some for number in (each.number, *each.taking)})
            part = Covers(self.policy, numbers)
            for suspect in some:
                dead = _judged(suspect, part, counts)
                if dead is None and not self.whole.is_exhausted:
                    dead = _judged(suspect, self.whole, counts)
                if dead is not None:
                    yield dead

    def _silent_rule(self, dead: _Dead) -> Finding:
        rule = self._rules[dead.suspect.number]
        if dead.is_never_true:
            never = Finding.about("SOS203", f'the condition of rule "{rule.name}" can never be true', rule)
            return replace(never, help=next(_zone_traps(rule.when), never.help))
        cover = [self._rules[each] for each in dead.cover]
        if not cover:
            return Finding.about("SOS201", f'rule "{rule.name}" can never match: its schedule is never active', rule)
        takes = "takes" if len(cover) == 1 else "together take"
        message = f'rule "{rule.name}" can never match: {listed(cover)} {takes} all its messages'
        return finding_beside("SOS201", message, rule, cover)

    def _silent_parts(self, rule: Rule, dead: Sequence[_Dead]) -> Finding:
        cover = [self._rules[each] for each in sorted({number for each in dead for number in each.cover})]
        texts = [f"`{each.suspect.text}`" for each in dead]
        shown = " and ".join(texts[:_SHOWN]) + (f" and {len(texts) - _SHOWN} more" if texts[_SHOWN:] else "")
        takes = "takes" if len(cover) == 1 else "together take"
        message = f'rule "{rule.name}" never decides on {shown}: {listed(cover)} {takes} all of that'
        return finding_beside("SOS221", message, rule, cover)


def counts_always(earlier: Rule, _: Rule) -> bool:
    """A rule takes messages for good when it is enforced; above a limit it need not."""
    return not earlier.shadow and earlier.limit is None


def counts_opposite(earlier: Rule, later: Rule) -> bool:
    """A rule that lets pass what the other does not, or the other way round."""
    return counts_always(earlier, later) and (earlier.action == "allow") != (later.action == "allow")


def _judged(suspect: _Suspect, covers: Covers, counts: Counts) -> _Dead | None:
    if not suspect.has_sample and not covers.is_met(suspect.condition):
        return _Dead(suspect, (), True)
    cover = covers.cover(suspect.number, suspect.condition, suspect.taking, counts)
    return _Dead(suspect, tuple(cover), False) if cover is not None else None


def _zone_traps(when: Condition | None) -> Iterator[str]:
    """Yield for each zone that must differ what that leaves out, and how to write what was probably meant."""
    for atom, is_wanted in signed_atoms(when):
        match atom:
            case Comparison(Field("zone.src" | "zone.dst" as zone), "!=") if is_wanted:
                same = expression_text(replace(atom, comparator="=="))
                yield f"What is outside of every zone has no {zone}: write `not {same}` where you mean that, too."
            case _:
                pass


def _batches(suspects: Sequence[_Suspect]) -> Iterator[list[_Suspect]]:
    batch: list[_Suspect] = []
    for suspect in suspects:
        batch.append(suspect)
        if sum(1 + len(each.taking) for each in batch) >= FEW_RULES:
            yield batch
            batch = []
    if batch:
        yield batch
