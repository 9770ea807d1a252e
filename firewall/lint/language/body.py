"""The body with its Content-Type and Content-Length: the three fit each other, so that they are settled together."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from firewall.lint.language.ask import Ask, NoAnswerError, answer_or_unknown
from firewall.lint.language.bounds import MAX_BODY_BYTES, MAX_MESSAGE_BYTES, UnmodelledError
from firewall.lint.language.carrier import LINE, SDP, Group, header_carrier
from firewall.lint.language.draft import CRLF, Draft
from firewall.lint.language.jury import facts_of, holds_of_message
from firewall.lint.language.search import Bound
from firewall.lint.language.template import Template
from firewall.ruleset.expression import Call, Comparator, Comparison, Exists, Field, Matches
from firewall.ruleset.literal import bytes_text, text_bytes
from firewall.sip.body import SDP_TYPE, body_parts

CONTENT_TYPE = header_carrier("Content-Type")
CONTENT_LENGTH = header_carrier("Content-Length")
CARRIERS = (SDP, CONTENT_TYPE, CONTENT_LENGTH)

_BOUNDARY = "sosgate-part"
_SHORTEST_ATTRIBUTE = len(b"a=x" + CRLF)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A body: its content, the regex its Content-Type must match (None: any, and none), and how it can grow."""

    content: bytes
    media_type: str | None
    plain_type: bytes | None
    least_growth: int
    growth: bytes

    def grown(self, by: int) -> bytes:
        """Return the content with so many bytes more."""
        if not by:
            return self.content
        if self.growth == b"a=":
            return self.content + b"a=" + b"x" * (by - len(b"a=") - len(CRLF)) + CRLF
        return self.content + self.growth * by


def with_body(template: Template, draft: Draft, sdp: Ask, media_type: Ask, length: Ask) -> Draft:
    """Return the draft with a body that meets what is asked of its SDP, its type and its length.

    Raises:
        NoAnswerError: there is none; with the literals that allow none.
        UnmodelledError: none of the bodies that are tried fits.
    """
    if not (sdp.literals or media_type.literals or length.literals):
        return draft
    _check(sdp, media_type, length)
    literals = (*sdp.literals, *media_type.literals, *length.literals)
    for plan in _plans(template, draft, sdp, length):
        made = _made(template, draft, plan, media_type, length)
        if made is None:
            continue
        facts = facts_of(made.payload)
        if facts is not None and all(holds_of_message(each.condition, facts) is each.holds for each in literals):
            return made
    raise UnmodelledError("a body of this type, length and session description")


def _check(sdp: Ask, media_type: Ask, length: Ask) -> None:
    """Raise for what is impossible whatever else the body is."""
    for ask in (sdp, media_type):
        if ask.literals and ask.answer() is None:
            raise NoAnswerError(ask.core())
    at_most = frozenset((_length("<=", MAX_BODY_BYTES),))
    if length.literals and length.answer() is None:
        raise NoAnswerError(length.core())
    if length.literals and length.answer() and length.answer(at_most) is None:
        # A body of more bytes fits no datagram; but without the header nothing is announced.
        raise NoAnswerError(length.core(at_most))
    if not sdp.literals:
        return
    shortest = sdp.answer()
    if not shortest:
        return
    typed = frozenset((_matching(r"^(?:application/sdp|multipart/)"),))
    if media_type.literals and media_type.answer(typed) is None and not _may_be_absent(media_type):
        raise NoAnswerError((*sdp.literals, *media_type.core(typed), *_absent(media_type).core()))
    if length.literals and not _may_be_absent(length) and not _has_room(sdp, length, shortest):
        raise NoAnswerError((*sdp.literals, *length.literals))


def _has_room(sdp: Ask, length: Ask, text: bytes | None) -> bool:
    """Tell whether a description as asked for fits a length that may be announced: ``text``, or a shorter one."""
    while text is not None:
        if length.answer(frozenset((_length(">=", len(text)),))) is not None:
            return True
        shorter = Comparison(Call("len", Field("sdp")), "<", len(text))
        text = sdp.answer(frozenset((Bound(shorter, (Group("sdp"),)),)))
    return False


def _may_be_absent(header: Ask) -> bool:
    return _absent(header).answer() is not None


def _absent(header: Ask) -> Ask:
    """The same asked of a message without the header."""
    line = Bound(Exists(Field(f"sip.{header.carrier.spelling}")), (Group(LINE),))
    return replace(header, held_none=header.held_none | {line})


def _plans(template: Template, draft: Draft, sdp: Ask, length: Ask) -> Iterator[_Plan]:
    for text in _descriptions(template, sdp, length):
        yield from _plans_with(template, draft, sdp, text)


def _plans_with(template: Template, draft: Draft, sdp: Ask, text: bytes) -> Iterator[_Plan]:
    parts = body_parts(template.message)
    described = [part for part in parts if part.content_type == SDP_TYPE]
    body = draft.body
    is_multipart = len(parts) > 1 or (bool(parts) and not body.endswith(parts[0].content))
    if not sdp.literals:
        yield _kept_plan(body, described != [], is_multipart, template)
    elif text and len(described) == 1 and body.count(described[0].content) == 1:
        edited = body.replace(described[0].content, text)
        yield _kept_plan(edited, True, is_multipart, template)
    elif not text and not described:
        yield _kept_plan(body, False, is_multipart, template)
    if text:
        yield _Plan(text, r"^application/sdp(?:;|$)", SDP_TYPE.encode(), _SHORTEST_ATTRIBUTE, b"a=")
        yield _multipart(text, b"text/plain", b"sosgate-probe")
        if "content-type" not in template.held:
            yield _Plan(text, None, None, _SHORTEST_ATTRIBUTE, b"a=")
    if not text or not (sdp.literals or "sdp" in template.held):
        yield _Plan(b"", None, None, 0, b"")
        yield _Plan(b"x", r"^[^/]+/", b"text/plain", 1, b"x")
        yield _Plan(b"x", r"^(?:[^am]|a[^p]|m[^u])", b"text/plain", 1, b"x")


def _kept_plan(body: bytes, has_sdp: bool, is_multipart: bool, template: Template) -> _Plan:
    """The template's body, edited or not, under the type it has."""
    if not body:
        return _Plan(b"", None, None, 0, b"")
    if has_sdp and not is_multipart:
        return _Plan(body, r"^application/sdp(?:;|$)", SDP_TYPE.encode(), _SHORTEST_ATTRIBUTE, b"a=")
    written = text_bytes(template.message.header("content-type") or "text/plain")
    if is_multipart:
        boundary = bytes_text(written.partition(b"boundary=")[2].split(b";")[0])
        return _Plan(body, rf"^multipart/[a-z]+; ?boundary={_quoted(boundary)}(?:;|$)", written, 1, b"x")
    kind = bytes_text(written.partition(b";")[0].strip())
    return _Plan(body, rf"^{_quoted(kind)}(?:;|$)", written, 1, b" ")


def _multipart(sdp: bytes, kind: bytes, other: bytes) -> _Plan:
    delimiter = f"--{_BOUNDARY}".encode()
    sections = ((SDP_TYPE.encode(), sdp), (kind, other + CRLF))
    content = b"".join(
        delimiter + CRLF + b"Content-Type: " + media_type + CRLF * 2 + part for media_type, part in sections
    )
    written = f"multipart/mixed;boundary={_BOUNDARY}"
    return _Plan(content + delimiter + b"--" + CRLF, rf"^{written}(?:;|$)", written.encode(), 1, b"x")


def _descriptions(template: Template, sdp: Ask, length: Ask) -> Iterator[bytes]:
    """Session descriptions as asked for: near the template's, the shortest, one of a length that is asked for.

    Where nothing is asked of it, the template's own, or none.
    """
    if not sdp.literals:
        yield b"".join(part.content for part in body_parts(template.message) if part.content_type == SDP_TYPE)
        return
    near = template.near(sdp.question())
    text = answer_or_unknown(near) if near is not None else None
    if text is not None:
        yield text.replace(b"\n", CRLF)
    shortest = sdp.answer() or b""
    yield shortest.replace(b"\n", CRLF)
    if shortest and length.literals:
        yield from _fitted(sdp, shortest, length)


def _fitted(sdp: Ask, shortest: bytes, length: Ask) -> Iterator[bytes]:
    """The description with exactly the least length that is announced: it may need as many lines as the shortest."""
    lines = shortest.count(b"\n")
    at_least = frozenset((_length(">=", len(shortest) + lines),))
    announced = length.answer(at_least)
    if not announced:
        return
    exactly = Bound(Comparison(Call("len", Field("sdp")), "==", int(announced) - lines), (Group("sdp"),))
    text = answer_or_unknown(sdp.question(frozenset((exactly,))))
    if text:
        yield text.replace(b"\n", CRLF)


def _made(template: Template, draft: Draft, plan: _Plan, media_type: Ask, length: Ask) -> Draft | None:
    typed = _typed(template, draft, plan, media_type)
    if typed is None:
        return None
    size = len(plan.content)
    number = _announced(size, plan, length) if length.literals else str(size).encode()
    if number is None:
        return None
    if number == b"":
        return replace(typed.with_values("content-length", "Content-Length", ()), body=plan.content)
    content = plan.grown(int(number) - size)
    if len(content) > MAX_MESSAGE_BYTES:
        return None
    lines = () if not length.literals and not draft.values("content-length") else (number,)
    return replace(typed.with_values("content-length", "Content-Length", lines), body=content)


def _typed(template: Template, draft: Draft, plan: _Plan, media_type: Ask) -> Draft | None:
    if not media_type.literals:
        if plan.content == draft.body or ("content-type" in template.held and plan.plain_type is not None):
            return draft
        now = (template.message.header("content-type") or "").lower()
        if plan.plain_type is not None and now == bytes_text(plan.plain_type).lower():
            return draft
        return draft.with_values("content-type", "Content-Type", () if plan.plain_type is None else (plan.plain_type,))
    extra: frozenset[Bound] = frozenset() if plan.media_type is None else frozenset((_matching(plan.media_type),))
    text = media_type.answer(extra)
    return None if text is None else draft.with_values("content-type", "Content-Type", text.split(b"\n")[:-1])


def _announced(size: int, plan: _Plan, length: Ask) -> bytes | None:
    """The Content-Length that is asked for, of a body that has so many bytes or can grow to it; b"" for no header."""
    exactly = length.answer(frozenset((_length("==", size),)))
    if exactly is not None:
        return exactly.rstrip(b"\n")
    if plan.growth:
        more = length.answer(frozenset((_length(">=", size + plan.least_growth), _length("<=", MAX_BODY_BYTES))))
        if more is not None:
            return more.rstrip(b"\n")
    return b"" if _may_be_absent(length) else None


def _length(comparator: Comparator, size: int) -> Bound:
    return Bound(Comparison(Field("sip.Content-Length"), comparator, size), (Group("number"),))


def _matching(regex: str) -> Bound:
    return Bound(Matches(Field("sip.Content-Type"), regex), (Group(LINE),))


def _quoted(text: str) -> str:
    return "".join(char if char.isalnum() or char in "-_/" else f"\\x{ord(char):02x}" for char in text)
