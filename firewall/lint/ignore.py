"""Ignore comments of a policy: ``# sosgate: ignore[SOS205] tried out until March``, and what is wrong with them.

A comment stands on a line that the finding points at, or on a line of its own directly above. It needs a reason. It
silences warnings and hints; an error (a call that is blocked) stays, and says who asked to ignore it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches

from firewall.errors import Place
from firewall.lint.codes import CODES
from firewall.lint.finding import Edit, Finding, Fix, Suppressed
from firewall.lint.source import Comment, PolicySource

_MARKER = re.compile(r"#\s*sosgate\s*:")
_IGNORE = re.compile(r"#\s*sosgate\s*:\s*ignore\s*\[(?P<codes>[^\]]*)\]\s*(?P<reason>.*)")
_ABOUT_IGNORES = frozenset(("SOS210", "SOS211", "SOS212"))
IGNORABLE = tuple(row for row in CODES.values() if row.severity != "error" and row.code not in _ABOUT_IGNORES)
"""The codes that a comment can ignore."""


@dataclass(frozen=True, slots=True)
class Ignore:
    """One ignore comment: the codes it names, its reason, and the line it is about."""

    codes: tuple[str, ...]
    reason: str
    line: int
    comment: Comment


@dataclass(frozen=True, slots=True)
class Judged:
    """Findings after the ignore comments were heard: what stays, and what is silenced."""

    findings: tuple[Finding, ...]
    suppressed: tuple[Suppressed, ...]


def judge(findings: Iterable[Finding], source: PolicySource, file: str) -> Judged:
    """Silence the findings that a comment ignores, and add findings about the comments themselves."""
    if "sosgate" not in source.text:
        return Judged(tuple(findings), ())
    ignores, about = _read(source, file)
    kept: list[Finding] = []
    suppressed: list[Suppressed] = []
    used: set[tuple[int, str]] = set()
    for finding in findings:
        ignore = _for(finding, ignores)
        if ignore is None:
            kept.append(finding)
            continue
        used.add((ignore.comment.start, finding.code))
        if finding.is_error:
            line = source.position(ignore.comment.start)[0]
            refusal = f'line {line} asks to ignore it ("{ignore.reason}"), but an error cannot be ignored'
            kept.append(replace(finding, because=(*finding.because, refusal)))
        else:
            suppressed.append(Suppressed(finding, ignore.reason, source.position(ignore.comment.start)[0]))
    for ignore in ignores:
        unused = tuple(code for code in ignore.codes if code in CODES and (ignore.comment.start, code) not in used)
        if unused:
            about.append(_unused(ignore, unused, source, file))
    return Judged((*kept, *about), tuple(suppressed))


def _for(finding: Finding, ignores: list[Ignore]) -> Ignore | None:
    lines = {finding.place.line} if finding.place.line is not None else set()
    for mark in finding.marks:
        lines.update(range(mark.line, mark.end_line + 1))
    return next((each for each in ignores if finding.code in each.codes and each.line in lines), None)


def _read(source: PolicySource, file: str) -> tuple[list[Ignore], list[Finding]]:
    ignores: list[Ignore] = []
    about: list[Finding] = []
    comments = source.comments()
    alone = {comment.line for comment in comments if comment.is_alone}
    for comment in comments:
        if _MARKER.match(comment.text) is None:
            continue
        found = _IGNORE.fullmatch(comment.text)
        codes = (
            tuple(dict.fromkeys(code.strip() for code in found["codes"].split(",") if code.strip())) if found else ()
        )
        if found is None or not codes:
            about.append(_finding("SOS212", "this comment is no ignore that lint understands", comment, source, file))
            continue
        about += [
            _unknown(code, comment, source, file) for code in codes if code not in CODES or code in _ABOUT_IGNORES
        ]
        if not found["reason"].strip():
            message = f"an ignore without a reason silences nothing: why may {', '.join(codes)} stand?"
            about.append(_finding("SOS210", message, comment, source, file))
            continue
        line = comment.line
        while comment.is_alone and line in alone:
            line += 1
        known = tuple(code for code in codes if code not in _ABOUT_IGNORES)
        ignores.append(Ignore(known, found["reason"].strip(), line, comment))
    return ignores, about


def _finding(
    code: str, message: str, comment: Comment, source: PolicySource, file: str, fix: Fix | None = None
) -> Finding:
    place = Place(file, *source.position(comment.start))
    marks = (source.mark(comment.start, comment.start + len(comment.text)),)
    return Finding(code, message, place, CODES[code].mend, fix=fix, marks=marks)


def _unknown(code: str, comment: Comment, source: PolicySource, file: str) -> Finding:
    if code in _ABOUT_IGNORES:
        return _finding("SOS212", f"{code} is about ignore comments and cannot be ignored", comment, source, file)
    close = _similar(code)
    asked = f', did you mean "{close}"?' if close else ""
    fix = None
    if close is not None:
        at = source.text.index(code, source.text.index("[", comment.start))
        fix = Fix(f"Write {close}", (source.edit(at, at + len(code), close),), is_certain=False)
    return _finding("SOS212", f'there is no code "{code}"{asked}', comment, source, file, fix)


def _similar(code: str) -> str | None:
    """Return the code that was probably meant: by its name, its digits in another order, or nearly the same."""
    named = next((row.code for row in CODES.values() if row.name == code), None)
    close = [each for each in get_close_matches(code.upper(), CODES, n=9, cutoff=0.7) if each not in _ABOUT_IGNORES]
    swapped = [each for each in close if sorted(each) == sorted(code.upper())]
    return named or next(iter([*swapped, *close]), None)


def _unused(ignore: Ignore, unused: tuple[str, ...], source: PolicySource, file: str) -> Finding:
    what = ", ".join(unused)
    comment = ignore.comment
    rest = [code for code in ignore.codes if code not in unused]
    if rest:
        start = source.text.index("[", comment.start) + 1
        edit = source.edit(start, source.text.index("]", start), ", ".join(rest))
        fix = Fix(f"Remove {what} from the comment", (edit,))
    else:
        fix = Fix("Remove the comment", (_removal(comment, source),))
    return _finding("SOS211", f"nothing here is silenced by ignore[{what}]", comment, source, file, fix)


def _removal(comment: Comment, source: PolicySource) -> Edit:
    if comment.is_alone:
        return source.edit(source.line_start(comment.start), source.next_line(comment.start), "")
    before = source.text[source.line_start(comment.start) : comment.start]
    return source.edit(comment.start - (len(before) - len(before.rstrip())), comment.end, "")
