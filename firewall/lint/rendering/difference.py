"""A difference between two policies for a terminal, and as the JSON document of ``sosgate diff --format json``."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from firewall.engine.recording import printable
from firewall.engine.timestamp import timestamp
from firewall.lint.difference import Difference
from firewall.lint.finding import Sent
from firewall.lint.proof.compare import Change, Verdict
from firewall.lint.rendering.label import Line, labelled, usable_width
from firewall.lint.rendering.sentence import ends, number, packet_fields
from firewall.ruleset.policy import Policy

_SHOWN_MESSAGES = 6
_RESULT_STYLES = {"same": "bold green", "differs": "bold red", "undecided": "bold yellow"}
_VERDICT_STYLES = {"allow": "green", "drop": "red", "reject": "red"}


def difference_lines(found: Difference, captures: Mapping[int, str], width: int | None) -> Iterator[Line]:
    """Yield the lines for a terminal; ``captures`` are the files that witnesses were written to, by change."""
    width = usable_width(width)
    for index, change in enumerate(found.changes):
        yield from _change_lines(found, change, captures.get(index), index + 1, width)
        yield ()
    for setting in found.settings:
        yield from _labelled("setting", f"{setting.what}: {setting.before} -> {setting.after}", width)
    for reason in found.unanswered:
        yield from _labelled("undecided", reason, width)
    for note in found.notes:
        yield from _labelled("note", note, width)
    yield _summary(found)


def _change_lines(
    found: Difference, change: Change, capture: str | None, count: int, width: int | None
) -> Iterator[Line]:
    kind = f"emergency ({_class(change)})" if change.is_emergency else "ordinary"
    shown = ", ".join(change.messages[:_SHOWN_MESSAGES])
    more = len(change.messages) - _SHOWN_MESSAGES
    shown += f" and {more} more kinds of message" if more > 0 else ""
    yield ((f"{count}. ", "blue"), (kind, "bold red" if change.is_emergency else "bold"), (f": {shown}", "bold"))
    for index, where in enumerate(change.where):
        yield from _labelled("where" if index == 0 else "or", " and ".join(where) or "always", width)
    if not change.is_all:
        yield from _labelled("or", "other conditions under which the same two rules decide", width)
    for label, verdict, policy in (("before", change.before, found.old), ("after", change.after, found.new)):
        yield from _labelled(label, f"{verdict_words(verdict)}, {decider(verdict, policy)}", width, verdict.verdict)
    yield from _labelled("witness", witness_line(change), width)
    if capture is not None:
        yield from _labelled("capture", f"{capture} (messages: {len(change.sent)})", width)


def verdict_words(verdict: Verdict) -> str:
    """Return ``reject with 503``, ``drop and ban for 10m``, ``allow``."""
    status = f" with {verdict.status}" if verdict.status is not None else ""
    return verdict.verdict + status + (f" and ban for {verdict.ban}" if verdict.ban is not None else "")


def decider(verdict: Verdict, policy: Policy) -> str:
    """Return what decided: ``rule "calls" (old.yaml:40)``, ``the default (old.yaml:50)``, or the reason's code."""
    place = f" ({policy.file}:{verdict.line})" if verdict.line is not None else ""
    if verdict.rule is not None:
        return f'rule "{verdict.rule}"{place}'
    if verdict.reason == "default":
        return f"the default{place}"
    return f"no rule (reason {verdict.reason})"


def witness_line(change: Change) -> str:
    """Return the message that shows a change, in one line."""
    last = change.sent[-1]
    start_line = _message(last).split("\r\n", 1)[0]
    after = f", message {len(change.sent)} of those sent" if len(change.sent) > 1 else ""
    earlier = ", set up before the policies were loaded" if change.set_up else ""
    interface = f" by {last.datagram.in_iface}" if last.datagram.in_iface is not None else ""
    sent = f"{ends(last.datagram)}{interface}, {timestamp(last.at_ns)}"
    return f"{printable(start_line)}, {sent}{after} ({change.flow}{earlier})"


def difference_document(found: Difference, captures: Mapping[int, str]) -> dict[str, Any]:
    """Return the JSON document."""
    return {
        "result": found.result,
        "old": found.old.file,
        "new": found.new.file,
        "changes": [_change(change, captures.get(index)) for index, change in enumerate(found.changes)],
        "settings": [asdict(each) for each in found.settings],
        "notes": list(found.notes),
        "undecided": list(found.unanswered),
        "cut": found.is_cut,
        "extent": {"messages": found.messages, "kinds": found.kinds, "questions": found.questions},
    }


def _change(change: Change, capture: str | None) -> dict[str, Any]:
    return {
        "emergency": change.is_emergency,
        "class": change.mark.emergency_class if change.mark is not None else None,
        "flow": change.flow,
        "context": list(change.messages),
        "where": [" and ".join(where) or "always" for where in change.where],
        "complete": change.is_all,
        "before": asdict(change.before),
        "after": asdict(change.after),
        "witness": _witness(change),
        "pcap": capture,
    }


def _witness(change: Change) -> dict[str, Any]:
    last = change.sent[-1]
    return {
        "summary": witness_line(change),
        "message": _message(last),
        "messages": len(change.sent),
        "set_up": change.set_up,
        **packet_fields(last),
    }


def _message(sent: Sent) -> str:
    """Return the text of a message; of a packet of media what it is."""
    is_media = sent.label.startswith("RTP ")
    return sent.label if is_media else sent.datagram.payload.decode("utf-8", "backslashreplace")


def _class(change: Change) -> str:
    return change.mark.emergency_class if change.mark is not None else "later message"


def _summary(found: Difference) -> Line:
    asked = f"{number(found.messages)} messages of whole flows ({number(found.kinds)} kinds to these rules)"
    extent = f"{asked}, any address, port, header, size and time; {number(found.questions)} questions"
    names = f"{found.old.file} -> {found.new.file}"
    if found.result == "same":
        return (("same", _RESULT_STYLES["same"]), (f": {names}: no change in meaning: {extent}", ""))
    told = []
    if found.changes:
        of_emergencies = sum(change.is_emergency for change in found.changes)
        more = " or more" if found.is_cut else ""
        told.append(f"{_counted(len(found.changes), 'change')}{more}, {of_emergencies} of emergency calls")
    if found.settings:
        told.append(_counted(len(found.settings), "setting"))
    if found.unanswered:
        told.append(f"{len(found.unanswered)} undecided")
    return ((found.result, _RESULT_STYLES[found.result]), (f": {names}: {'; '.join(told)} ({extent})", ""))


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def _labelled(label: str, text: str, width: int | None, verdict: str = "") -> Iterator[Line]:
    return labelled(f"   {label:<9}: ", text, width, _VERDICT_STYLES.get(verdict, ""))
