"""Short messages: what a message can be written without, and how short any message is at least.

A rule on ``frame.len`` may be about messages shorter than those that the flows write: without a body, with compact
header names, with names of one character. That none is found is no proof that there is none; ``least_bytes`` is.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from firewall.lint.language.carrier import OF_BODY
from firewall.lint.language.draft import Draft, Line, read_draft
from firewall.lint.language.jury import Jury, Literal, facts_of
from firewall.sip.headers import COMPACT_FORMS, canonical_name
from firewall.sip.message import Message, Request

# RFC 3261 §25.1: the shortest that its grammar allows, with compact names (§7.3.3).
_LEAST_HEADERS = b"v:SIP/2.0/U a\r\nf:a:a\r\nt:a:a\r\ni:a\r\nCSeq:0 \r\n\r\n"
_LEAST_STATUS_LINE = b"SIP/2.0 100 \r\n"
_LEAST_REQUEST_LINE = b" a SIP/2.0\r\n"
_NEEDED = frozenset({"via", "from", "to", "call-id", "cseq"})
_COMPACT = {canonical: compact.encode() for compact, canonical in COMPACT_FORMS.items()}

Edit = Callable[[Draft], Draft]


def least_bytes(message: Message) -> int:
    """Return how long a message of this kind (a request of its method, a response) is at least, whatever it says."""
    method = (message.cseq_method or "").encode()
    start = method + _LEAST_REQUEST_LINE if isinstance(message, Request) else _LEAST_STATUS_LINE
    return len(start) + len(_LEAST_HEADERS) + len(method)


def shortened(payload: bytes, literals: Sequence[Literal], held: frozenset[str]) -> bytes:
    """Return a short message of which all literals are true, with what is held as it was."""
    jury, draft = Jury(literals), read_draft(payload)
    names = frozenset(canonical_name(name) for name in held)
    for edit in _edits(draft, names | OF_BODY if "body" in names else names):
        edited = edit(draft)
        facts = facts_of(edited.payload)
        if facts is not None and len(edited.payload) < len(draft.payload) and not jury.failing(facts):
            draft = edited
    return draft.payload


def _edits(draft: Draft, held: frozenset[str]) -> Iterator[Edit]:
    if not held & OF_BODY:
        yield _without_body
    names = dict.fromkeys(line.name for line in draft.lines)
    for name in names:
        if name not in _NEEDED | held:
            yield _with(name)
    if "r-uri" not in held:
        for start_line in _start_lines(draft.start_line):
            yield _beginning(start_line)
    for name, value in _values(draft):
        if name not in held:
            yield _with(name, value)
    yield from (_compact(name) for name in names)


def _without_body(draft: Draft) -> Draft:
    return replace(draft, lines=tuple(line for line in draft.lines if line.name not in OF_BODY), body=b"")


def _beginning(start_line: bytes) -> Edit:
    return lambda draft: replace(draft, start_line=start_line)


def _with(name: str, *values: bytes) -> Edit:
    return lambda draft: draft.with_values(name, name, values)


def _start_lines(start_line: bytes) -> Iterator[bytes]:
    method, _, rest = start_line.partition(b" ")
    if method == b"SIP/2.0":
        yield method + b" " + rest[:3] + b" "
        return
    uri = rest.rpartition(b" ")[0]
    for target in _targets(uri):
        yield method + b" " + target + b" SIP/2.0"


def _targets(uri: bytes) -> Iterator[bytes]:
    """Yield whom a message may be for instead, the shortest first."""
    yield from (b"a:a", b"sip:a")
    if b"@" in uri:
        yield uri.partition(b"@")[0] + b"@a"


def _values(draft: Draft) -> Iterator[tuple[str, bytes]]:
    tags = {line.name: b";tag=1" if b";tag=" in line.content else b"" for line in draft.lines}
    for name in ("from", "to"):
        content = next((line.content for line in draft.lines if line.name == name), b"")
        uri = content.partition(b"<")[2].partition(b">")[0]
        yield from ((name, target + tags.get(name, b"")) for target in _targets(uri))
    yield "call-id", b"1"
    yield "via", b"SIP/2.0/UDP a;branch=1"


def _compact(name: str) -> Edit:
    def edit(draft: Draft) -> Draft:
        return replace(draft, lines=tuple(_tight(line) if line.name == name else line for line in draft.lines))

    return edit


def _tight(line: Line) -> Line:
    """Return the line with its compact name, and no blank after the colon."""
    written, _, value = line.content.partition(b":")
    return replace(line, content=_COMPACT.get(line.name, written) + b":" + value.lstrip())
