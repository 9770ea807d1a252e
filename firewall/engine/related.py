"""New calls that belong to an emergency call: callbacks to its caller, and transfers of it.

A callback (RFC 7090, NENA i3) names the caller's number or contact within 30 minutes. A transfer goes to the URI of a
REFER sent within the call (RFC 3515), or names the call in Replaces, Join or Target-Dialog (RFC 3891, 3911, 4538).
"""

from collections import OrderedDict
from dataclasses import dataclass

from firewall.engine.call_table import CallTable
from firewall.net.datagram import Datagram
from firewall.ruleset.emergency import CALLBACK_WINDOW_NS, SOS, dialled_digits, wire_text
from firewall.ruleset.facts import EmergencyClass, EmergencyMark
from firewall.sip.headers import parse_params, split_values
from firewall.sip.message import Request
from firewall.sip.name_addr import parse_name_addr
from firewall.sip.uri import Uri, parse_uri

MAX_EXPECTED = 20_000
TRANSFER_WINDOW_NS = 180 * 1_000_000_000
"""How long after a REFER a call to its target counts as the transfer."""

_FULL_NUMBER_DIGITS = 7
_NATIONAL_DIGITS = 10
_DIALOG_HEADERS = ("replaces", "join", "target-dialog")
_ANY_DIALOG_HEADER = frozenset(_DIALOG_HEADERS)


@dataclass(frozen=True, slots=True)
class _Expected:
    """A call that is expected to some identity: until when, from whom not, and what it will be."""

    until_ns: int
    not_from_ip: str | None
    mark: EmergencyMark


class RelatedCalls:
    """Which calls to come belong to an emergency call, by whom they go to; bounded."""

    def __init__(self) -> None:
        self._expected: OrderedDict[str, _Expected] = OrderedDict()

    def expect_callback(self, identities: set[str], caller_ip: str, call_id: str, now_ns: int) -> None:
        """Expect the PSAP to call back who made an emergency call; never from the caller's own address."""
        phrase = f"request_uri names the caller of emergency call {wire_text(call_id)} (RFC 7090)"
        mark = EmergencyMark("callback", SOS, (phrase,))
        for identity in identities:
            self._expect(identity, _Expected(now_ns + CALLBACK_WINDOW_NS, caller_ip, mark))

    def expect_transfer(self, refer: Request, mark: EmergencyMark, call_id: str, now_ns: int) -> None:
        """Expect a call to the Refer-To target of a REFER within an emergency call."""
        target = identity_of(parse_uri(parse_name_addr(refer.header("refer-to") or "").uri))
        if target is not None:
            phrase = f"request_uri is the refer_to of emergency call {wire_text(call_id)} (RFC 3515)"
            transfer_class: EmergencyClass = "test" if mark.emergency_class == "test" else "call"
            transfer = EmergencyMark(transfer_class, mark.service, (phrase,))
            self._expect(target, _Expected(now_ns + TRANSFER_WINDOW_NS, None, transfer))

    def mark_of(self, request: Request, datagram: Datagram, calls: CallTable, now_ns: int) -> EmergencyMark | None:
        """Return the mark of a request that begins a related call, None for any other."""
        named = _named_call(request, calls) if request.has_any(_ANY_DIALOG_HEADER) else None
        if named is not None:
            return named
        if not self._expected:
            return None
        identity = identity_of(request.uri)
        expected = self._expected.get(identity) if identity is not None else None
        if expected is None or now_ns > expected.until_ns or datagram.src_ip == expected.not_from_ip:
            return None
        return expected.mark

    def _expect(self, identity: str, expected: _Expected) -> None:
        self._expected.pop(identity, None)
        if len(self._expected) >= MAX_EXPECTED:
            self._expected.popitem(last=False)
        self._expected[identity] = expected


def caller_identities(request: Request) -> set[str]:
    """Return by what identities a caller can be called back: From, Contact and asserted identity."""
    uris = [request.from_.uri]
    for name in ("contact", "p-asserted-identity"):
        for value in request.header_values(name):
            uris.extend(parse_name_addr(part).uri for part in split_values(value))
    return {identity for identity in (identity_of(parse_uri(uri)) for uri in uris) if identity is not None}


def identity_of(uri: Uri) -> str | None:
    """A telephone number by its last ten digits (``+1 617 555 0123`` and ``6175550123`` are one); else user@host."""
    if not uri.user or uri.user.lower() == "anonymous":
        return None
    number = dialled_digits(uri.user).removeprefix("+")
    if number.isdigit() and len(number) >= _FULL_NUMBER_DIGITS:
        return number[-_NATIONAL_DIGITS:]
    return f"{uri.user}@{uri.host}".lower()


def _named_call(request: Request, calls: CallTable) -> EmergencyMark | None:
    for name in _DIALOG_HEADERS:
        value = request.header(name)
        if value is None:
            continue
        call_id, _, text = value.partition(";")
        params = parse_params(text)
        tags = (
            params.get("to-tag") or params.get("remote-tag"),
            params.get("from-tag") or params.get("local-tag"),
        )
        call = calls.get(call_id.strip())
        if call is not None and call.emergency is not None and call.names_dialog(tags):
            mark = call.emergency
            phrase = f"{name.replace('-', '_')} names emergency call {wire_text(call.call_id)} (RFC 3891, 3911, 4538)"
            return EmergencyMark(mark.emergency_class, mark.service, (phrase,))
    return None
