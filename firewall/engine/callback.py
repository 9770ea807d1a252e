"""PSAP callbacks: a call back to whoever made an emergency call is part of it for 30 minutes (RFC 7090, NENA i3)."""

from firewall.net.datagram import Datagram
from firewall.ruleset.emergency import CALLBACK_WINDOW_NS, SOS, dialled_digits, wire_text
from firewall.ruleset.facts import EmergencyMark
from firewall.sip.headers import split_values
from firewall.sip.message import Message, Request
from firewall.sip.name_addr import parse_name_addr
from firewall.sip.uri import Uri, parse_uri

MAX_CALLERS = 20_000
_FULL_NUMBER_DIGITS = 7
_NATIONAL_DIGITS = 10


class RecentCallers:
    """Who made an emergency call in the last 30 minutes, by number and by contact address; bounded."""

    def __init__(self) -> None:
        self._callers: dict[str, tuple[int, str, str]] = {}  # identity → (until_ns, caller's address, Call-ID)

    def add(self, request: Request, datagram: Datagram, call_id: str, now_ns: int) -> None:
        """Remember the caller of an emergency call."""
        for identity in _caller_identities(request):
            self._callers.pop(identity, None)
            if len(self._callers) >= MAX_CALLERS:
                del self._callers[next(iter(self._callers))]
            self._callers[identity] = (now_ns + CALLBACK_WINDOW_NS, datagram.src_ip, call_id)

    def callback_mark(self, request: Request, datagram: Datagram, now_ns: int) -> EmergencyMark | None:
        """Return the mark of a request that calls back a recent emergency caller, None for any other.

        The caller's own address calling its own number is no callback.
        """
        identity = _identity(request.uri)
        entry = self._callers.get(identity) if identity else None
        if entry is None:
            return None
        until_ns, caller_ip, call_id = entry
        if now_ns > until_ns or datagram.src_ip == caller_ip:
            return None
        phrase = f"request_uri {request.request_uri} is the caller of emergency call {call_id} (RFC 7090)"
        return EmergencyMark("callback", SOS, (wire_text(phrase),))


def _caller_identities(request: Request) -> set[str]:
    uris = [request.from_.uri]
    for name in ("contact", "p-asserted-identity"):
        for value in request.header_values(name):
            uris.extend(parse_name_addr(part).uri for part in split_values(value))
    return {identity for identity in (_identity(parse_uri(uri)) for uri in uris) if identity is not None}


def _identity(uri: Uri) -> str | None:
    """A telephone number by its last ten digits (``+1 617 555 0123`` and ``6175550123`` are one); else user@host."""
    if not uri.user or uri.user.lower() == "anonymous":
        return None
    number = dialled_digits(uri.user).removeprefix("+")
    if number.isdigit() and len(number) >= _FULL_NUMBER_DIGITS:
        return number[-_NATIONAL_DIGITS:]
    return f"{uri.user}@{uri.host}".lower()


def is_callback_request(message: Message) -> bool:
    """Tell whether a message could begin a callback: an INVITE or MESSAGE outside a dialog."""
    return isinstance(message, Request) and message.method in ("INVITE", "MESSAGE") and message.to_tag is None
