"""Writes the messages of a call as both ends would send them: bytes, order and pauses (RFC 3261 §8, §12, §13)."""

from dataclasses import dataclass, field
from typing import Literal

from firewall.lint.bodies import Body
from firewall.lint.endpoint import Endpoint, Pair, Side
from firewall.lint.form import PLAIN, Headers, Style
from firewall.ruleset.literal import text_bytes
from firewall.sip.response import REASON_PHRASES

Role = Literal["initial", "mid_call", "callback", "keepalive", "text", "registration"]
"""What a message is to the call: its first request, or a later message; or which other traffic it belongs to."""

CRLF = "\r\n"
_PHRASES = {100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 202: "Accepted", **REASON_PHRASES}


@dataclass(frozen=True, slots=True)
class Step:
    """One message: when (ms after the first), who sends it, what it is called, its bytes."""

    at_ms: int
    sender: Side
    label: str
    role: Role
    payload: bytes


@dataclass(slots=True)
class Dialog:
    """What both ends know of a dialog. ``opener`` sent its first request, with the headers ``from_`` and ``to``."""

    opener: Side
    call_id: str
    from_: str
    to: str
    request_uri: str
    to_tag: str
    style: Style = PLAIN
    cseq: dict[Side, int] = field(default_factory=lambda: {"caller": 0, "psap": 0})


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was sent, as far as its answers repeat it."""

    dialog: Dialog
    sender: Side
    method: str
    cseq_number: int
    branch: str
    repeated: Headers
    uri: str

    @property
    def ends(self) -> Headers:
        """Its From and To, which a CANCEL of it has too (RFC 3261 §9.1)."""
        return tuple((name, value) for name, value in self.repeated if name in ("From", "To"))


def other(side: Side) -> Side:
    """Return the other side."""
    return "psap" if side == "caller" else "caller"


def with_article(label: str) -> str:
    """Return the name of a message as it stands in a sentence: ``an INVITE``, ``a 486 (INVITE)``."""
    return f"an {label}" if label[0] in "AEIOU" else f"a {label}"


class Script:
    """Collects the steps of one flow between two ends. ``key`` makes its Call-IDs, tags and branches its own."""

    def __init__(self, pair: Pair, key: str) -> None:
        self.pair = pair
        self.key = key
        self.now_ms = 0
        self.steps: list[Step] = []
        self._branches = 0

    def wait(self, ms: int) -> None:
        """Let time pass."""
        self.now_ms += ms

    def dialog(self, opener: Side, request_uri: str, to: str, style: Style = PLAIN, from_: str | None = None) -> Dialog:
        """Begin a new Call-ID; ``{host}`` in the URIs is the called address, in the style's texts the sender's."""
        call_id = f"{self.key}-{len(self.steps)}@{self._end(opener).ip}"
        called = self._end(other(opener)).host
        from_value = from_ if from_ is not None else style.from_.replace("{host}", self._end(opener).host)
        return Dialog(
            opener,
            call_id,
            f"{from_value};tag=f{self.key}",
            to.replace("{host}", called),
            request_uri.replace("{host}", called),
            f"t{self.key}",
            style,
        )

    def request(
        self,
        dialog: Dialog,
        sender: Side,
        method: str,
        role: Role,
        *,
        begins: bool = False,
        of: Request | None = None,
        headers: Headers = (),
        body: Body | None = None,
        uri: str | None = None,
    ) -> Request:
        """Send a request. ``begins``: outside a dialog. ``of``: the INVITE that an ACK or CANCEL belongs to."""
        style = dialog.style if sender == dialog.opener else PLAIN
        if of is None:
            dialog.cseq[sender] += 1
        number = of.cseq_number if of else dialog.cseq[sender]
        branch = of.branch if of and uri is not None else self._new_branch()
        request_uri = uri or (dialog.request_uri if begins else self._target_uri(dialog, other(sender)))
        routing: Headers = (
            ("Via", self._via(sender, style, branch)),
            *(of.ends if of and method == "CANCEL" else self._dialog_headers(dialog, sender, begins=begins)),
            ("Call-ID", dialog.call_id),
            ("CSeq", f"{number} {method}"),
        )
        described: Headers = (("Max-Forwards", "70"),) if style.has_max_forwards else ()
        if method in ("INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER", "REGISTER"):
            described += (("Contact", self._contact(dialog, sender)),)
        if style.user_agent is not None:
            described += (("User-Agent", style.user_agent),)
        if begins:
            described += tuple((name, value.replace("{host}", self._end(sender).host)) for name, value in style.headers)
        described += headers
        start_line = f"{method} {request_uri} SIP/2.0"
        self._send(sender, method, role, start_line, (*routing, *described), body, style)
        return Request(dialog, sender, method, number, branch, routing, request_uri)

    def answer(
        self,
        request: Request,
        status: int,
        role: Role,
        *,
        headers: Headers = (),
        body: Body | None = None,
    ) -> None:
        """Send a response to a request, the way it came (RFC 3261 §8.2.6)."""
        dialog = request.dialog
        repeated = tuple(
            (name, f"{value};tag={dialog.to_tag}" if name == "To" and ";tag=" not in value and status > 100 else value)
            for name, value in request.repeated
        )
        sender = other(request.sender)
        described: Headers = ()
        if request.method in ("INVITE", "UPDATE", "SUBSCRIBE", "REFER") and status > 100:
            described += (("Contact", self._contact(dialog, sender)),)
        phrase = _PHRASES[status]
        label = f"{status} {phrase} ({request.method})"
        self._send(sender, label, role, f"SIP/2.0 {status} {phrase}", (*repeated, *described, *headers), body, PLAIN)

    def media_ip(self, side: Side) -> str:
        """Return the address at which a side wants its media."""
        return self._end(side).ip

    def _send(
        self, sender: Side, label: str, role: Role, start_line: str, headers: Headers, body: Body | None, style: Style
    ) -> None:
        every = headers
        if body is not None:
            every += (*body.headers, ("Content-Type", body.content_type))
        every += (("Content-Length", str(len(body.content)) if body else "0"),)
        spelling, end = dict(style.spelling), style.line_end
        lines = [start_line]
        for name, value in every:
            text = value.replace(";tag=", f"{end} ;tag=") if style.folded and name == "From" else value
            lines.append(f"{spelling.get(name, name)}: {text}")
        payload = text_bytes(end.join(lines) + end + end)
        self.steps.append(Step(self.now_ms, sender, label, role, payload + (body.content if body else b"")))
        self.now_ms += 20

    def _dialog_headers(self, dialog: Dialog, sender: Side, *, begins: bool) -> Headers:
        if begins:
            return ("From", dialog.from_), ("To", dialog.to)
        to = f"{dialog.to};tag={dialog.to_tag}"
        if sender == dialog.opener:
            return ("From", dialog.from_), ("To", to)
        return ("From", to), ("To", dialog.from_)

    def _target_uri(self, dialog: Dialog, side: Side) -> str:
        contact = self._contact(dialog, side)
        return contact.partition("<")[2].partition(">")[0]

    def _contact(self, dialog: Dialog, side: Side) -> str:
        end = self._end(side)
        if side == dialog.opener:
            return dialog.style.contact.replace("{port}", str(end.port)).replace("{host}", end.host)
        return f"<sip:desk@{end.host}:{end.port}>"

    def _via(self, sender: Side, style: Style, branch: str) -> str:
        end, tail = self._end(sender), f";branch={branch}" if style.has_branch else ""
        return f"SIP/2.0/{end.via} {end.host}:{end.port}{style.via_parameters}{tail}"

    def _new_branch(self) -> str:
        self._branches += 1
        return f"z9hG4bK-{self.key}-{self._branches}"

    def _end(self, side: Side) -> Endpoint:
        return self.pair.ends(side)[0]
