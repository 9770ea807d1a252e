"""What changes between two policies, in meaning: verdicts with a witness each, and settings in words."""

from dataclasses import dataclass
from typing import Literal

from firewall.lint import media
from firewall.lint.proof.compare import Change, OneSided, compare
from firewall.lint.setting import Setting, renamed_rules, renamed_zones, settings
from firewall.ruleset.policy import Policy

DifferenceResult = Literal["same", "differs", "undecided"]

EXIT_SAME = 0
EXIT_DIFFERS = 1


@dataclass(frozen=True, slots=True)
class Difference:
    """All that changes from one policy to another, what touches emergency calls first.

    Without changes, settings and anything in ``unanswered`` it is proved that there is none. ``is_cut``: there are
    more changes than these.
    """

    old: Policy
    new: Policy
    changes: tuple[Change, ...]
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
    return Difference(
        old,
        new,
        tuple(sorted([*found.changes, *media.changes(old, new)], key=_gravity)),
        (
            *settings(old, new),
            *(_sides(f'limit of rule "{each.rule}"', "count", each) for each in found.counted),
            *(_sides(f'shadow rule "{each.rule}"', "record", each) for each in found.shadows),
        ),
        tuple(_notes(old, new)),
        found.unanswered,
        found.is_cut,
        found.messages,
        found.kinds,
        found.questions,
    )


def _gravity(change: Change) -> tuple[bool, bool]:
    """Emergency calls first, and of these what does not pass any more."""
    is_lost = change.before.verdict == "allow" and change.after.verdict != "allow"
    return not change.is_emergency, not is_lost


def _sides(what: str, verb: str, found: OneSided) -> Setting:
    does, does_not = f"{verb}s {found.message}", f"does not {verb} {found.message}"
    return Setting(what, does, does_not) if found.is_before else Setting(what, does_not, does)


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
