"""Mending a policy's text: certain fixes are made, lint looks again, and only what really mends is kept."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from firewall.errors import PolicyError
from firewall.lint.finding import Edit, Finding, Fix, Report
from firewall.lint.source import PolicySource

Examine = Callable[[str], Report]
"""Loads a policy's text and looks at it; raises ``PolicyError`` where it cannot be loaded."""

_OTHER_FINDING = "mended like this, the policy has another finding"


@dataclass(frozen=True, slots=True)
class Left:
    """A finding that was not fixed, and why."""

    finding: Finding
    why: str


@dataclass(frozen=True, slots=True)
class Mended:
    """A policy's text with its fixes made, lint's report about it, the findings that are gone, and those left.

    ``before`` is lint's report about the text as it was.
    """

    text: str
    before: Report
    report: Report
    fixed: tuple[Finding, ...]
    left: tuple[Left, ...]


@dataclass(frozen=True, slots=True)
class _State:
    text: str
    report: Report
    fixed: tuple[Finding, ...] = ()


def mend(text: str, examine: Examine) -> Mended:
    """Make every certain fix that removes its finding and adds none.

    A fix that reveals another finding (the next rule blocks the same call) is made together with the fix of that one,
    or not at all.

    Raises:
        PolicyError: the text as it is cannot be loaded.
    """
    before = examine(text)
    state = _State(text, before)
    refused: dict[tuple[str, str], str] = {}
    while fixable := _fixable(state.report, refused):
        mended = _attempt(state, fixable, examine) or _attempt(state, fixable[:1], examine)
        if mended is None:
            refused[fixable[0].identity] = _OTHER_FINDING
        else:
            state = mended
    left = tuple(
        Left(each, refused.get(each.identity) or _why_left(each.fix))
        for each in state.report.findings
        if each.fix is not None
    )
    return Mended(state.text, before, state.report, state.fixed, left)


def _fixable(report: Report, refused: dict[tuple[str, str], str]) -> list[Finding]:
    fixes = [each for each in report.findings if each.fix is not None and each.fix.is_certain]
    return [each for each in fixes if each.identity not in refused]


def _attempt(state: _State, wanted: list[Finding], examine: Examine) -> _State | None:
    """Make the fixes of ``wanted``, then of what they reveal; None unless nothing is left that was not there before."""
    before = Counter(each.identity for each in state.report.findings)
    text, report, fixed = state.text, state.report, list(state.fixed)
    seen = {text}
    while wanted:
        text, wanted = _with_fixes(text, wanted)
        if text in seen:
            return None
        seen.add(text)
        try:
            report = examine(text)
        except PolicyError:
            return None
        keys = Counter(each.identity for each in report.findings)
        if any(keys[each.identity] >= max(before[each.identity], 1) for each in wanted):
            return None
        fixed += wanted
        added = keys - before
        # A hint may come in place of something graver: that a rule is in shadow mode is only said of a harmless one.
        only_hints = any(each.kind.severity == "info" for each in wanted)
        wanted = [
            each for each in report.findings if each.identity in added and (only_hints or each.kind.severity != "info")
        ]
        if any(each.fix is None or not each.fix.is_certain for each in wanted):
            return None
    still = {each.identity for each in report.findings}
    return _State(text, report, tuple(each for each in fixed if each.identity not in still))


def _with_fixes(text: str, wanted: list[Finding]) -> tuple[str, list[Finding]]:
    """Return the text with fixes made that do not touch each other, and the findings that have them."""
    edits: list[Edit] = []
    made: list[Finding] = []
    for finding in wanted:
        own = finding.fix.edits if finding.fix is not None else ()
        if not any(_touch(edit, other) for edit in own for other in edits):
            edits += own
            made.append(finding)
    return PolicySource(text).edited(tuple(edits)), made


def _touch(one: Edit, other: Edit) -> bool:
    return (one.line, one.column) <= (other.end_line, other.end_column) and (other.line, other.column) <= (
        one.end_line,
        one.end_column,
    )


def _why_left(fix: Fix) -> str:
    return _OTHER_FINDING if fix.is_certain else "a person has to decide whether that is what was meant"
