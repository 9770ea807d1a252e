"""What changes between two policies, in meaning: verdicts with a witness each, and settings in words."""

from dataclasses import dataclass
from typing import Literal

from firewall.lint import media
from firewall.lint.finding import Sent
from firewall.lint.proof.compare import Change, Comparison, Decided, compare
from firewall.lint.setting import Setting, duration, renamed_rules, renamed_zones, settings
from firewall.ruleset.facts import EmergencyMark
from firewall.ruleset.policy import Policy

DifferenceResult = Literal["same", "differs", "undecided"]

EXIT_SAME = 0
EXIT_DIFFERS = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one policy decides on the messages of a change. ``ban`` is how long their sender is shut out, as ``10m``."""

    verdict: str
    status: int | None
    ban: str | None
    reason: str
    rule: str | None
    line: int | None


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """Messages that are decided otherwise, by the same two rules each: one region of the difference.

    ``messages`` are their kinds. ``where`` are the conditions under which it happens: any of them, in each all;
    ``is_all`` is False where there are more. ``sent`` shows it: both engines decided on its last message.
    ``set_up``: so many of the first of them were sent before either policy was loaded.
    """

    flow: str
    messages: tuple[str, ...]
    where: tuple[tuple[str, ...], ...]
    is_all: bool
    before: Verdict
    after: Verdict
    sent: tuple[Sent, ...]
    mark: EmergencyMark | None
    is_emergency: bool
    set_up: int


@dataclass(frozen=True, slots=True)
class Difference:
    """All that changes from one policy to another, what touches emergency calls first.

    Without changes, settings and anything in ``unanswered`` it is proved that there is none. ``is_cut``: there are
    more changes than these.
    """

    old: Policy
    new: Policy
    changes: tuple[VerdictChange, ...]
    settings: tuple[Setting, ...]
    notes: tuple[str, ...]
    unanswered: tuple[str, ...]
    is_cut: bool
    messages: int
    kinds: int
    questions: int

    @property
    def result(self) -> DifferenceResult:
        """``same`` is a proof; ``undecided`` is neither."""
        if self.changes or self.settings:
            return "differs"
        return "undecided" if self.unanswered else "same"

    @property
    def exit_code(self) -> int:
        """What the command ends with (DESIGN section 7): only a proof is a success."""
        return EXIT_SAME if self.result == "same" else EXIT_DIFFERS


def difference(old: Policy, new: Policy) -> Difference:
    """Return what changes from one policy to another."""
    found = compare(old, new)
    signalling = [_change(each) for each in sorted(found.changes, key=_gravity)]
    return Difference(
        old,
        new,
        tuple(
            sorted([*signalling, *map(_media_change, media.changes(old, new))], key=lambda each: not each.is_emergency)
        ),
        (*settings(old, new), *_counts(found), *_shadows(found)),
        tuple(_notes(old, new)),
        found.unanswered,
        found.is_cut,
        found.messages,
        found.kinds,
        found.questions,
    )


def _gravity(change: Change) -> tuple[bool, bool]:
    """Emergency calls first, and of these what does not pass any more."""
    is_lost = change.shown.before.outcome.verdict == "allow" and change.shown.after.outcome.verdict != "allow"
    return not change.is_emergency, not is_lost


def _change(change: Change) -> VerdictChange:
    shown = change.shown
    return VerdictChange(
        change.flow,
        tuple(change.messages),
        tuple(region.words for region in change.regions),
        change.is_all,
        _verdict(shown.before),
        _verdict(shown.after),
        shown.sent,
        shown.mark,
        change.is_emergency,
        shown.set_up,
    )


def _media_change(changed: media.Changed) -> VerdictChange:
    last = changed.sent[-1]
    record = changed.after
    way = f"from {record.zone_src or record.src_ip} to {record.zone_dst or record.dest_ip}"
    before, after = (
        Verdict(each.verdict, None, None, each.reason, each.rule, each.line)
        for each in (changed.before.decision, changed.after.decision)
    )
    mark = EmergencyMark("media", "urn:service:sos", ())
    where = ((f"the packet goes {way}",),)
    return VerdictChange(
        "media of an emergency call", (last.label,), where, False, before, after, changed.sent, mark, True, 0
    )


def _verdict(decided: Decided) -> Verdict:
    outcome = decided.outcome
    ban = duration(outcome.ban_ns) if outcome.ban_ns is not None else None
    return Verdict(outcome.verdict, outcome.status, ban, decided.reason, decided.rule, decided.line)


def _counts(found: Comparison) -> list[Setting]:
    return [
        _sides(f'limit of rule "{each.after.name}"', "count", each.message, each.is_counted_before)
        for each in found.counted
    ]


def _shadows(found: Comparison) -> list[Setting]:
    return [_sides(f'shadow rule "{each.name}"', "record", each.message, each.is_before) for each in found.shadows]


def _sides(what: str, verb: str, message: str, is_before: bool) -> Setting:
    does, does_not = f"{verb}s {message}", f"does not {verb} {message}"
    return Setting(what, does, does_not) if is_before else Setting(what, does_not, does)


def _notes(old: Policy, new: Policy) -> list[str]:
    notes = []
    if old.name != new.name:
        notes.append(f'the policy is called "{new.name}" now, not "{old.name}"')
    notes += [f'zone "{before}" is called "{after}" now' for before, after in renamed_zones(old, new).items()]
    gone, added = renamed_rules(old, new)
    if gone:
        notes.append(f"rules of these names are gone: {', '.join(gone)}")
    if added:
        notes.append(f"rules of these names are new: {', '.join(added)}")
    return notes
