"""What begins anew and belongs to an emergency call: callbacks to its caller, transfers of it, questions where it is.

A callback (RFC 7090, NENA i3) names the caller's number or contact within 30 minutes of the emergency call's last
message. A transfer goes to the URI of a REFER sent within the call (RFC 3515), or names the call in Replaces, Join or
Target-Dialog (RFC 3891, 3911, 4538); a redirected call goes to a Contact of the redirection. A SUBSCRIBE to what
Geolocation names (RFC 6442) asks where the caller is.
"""

from collections import OrderedDict
from itertools import islice

import msgspec
from msgspec.structs import replace

from firewall.engine.attempt import begins_call
from firewall.engine.call_table import CallTable
from firewall.engine.caller import LONGEST_IDENTITY, MAX_IDENTITIES, Caller, identity_of
from firewall.net.datagram import Datagram
from firewall.net.remembered import remembered
from firewall.ruleset.emergency import CALLBACK_WINDOW_NS, SOS, wire_text
from firewall.ruleset.facts import EmergencyClass, EmergencyMark
from firewall.sip.headers import identifier, parse_params
from firewall.sip.message import Request, Response
from firewall.sip.name_addr import NameAddr, parse_name_addr
from firewall.sip.uri import parse_uri

MAX_EXPECTED = 250_000
"""Some 80 MB: callers have three identities, of 40 emergency calls a second in 30 minutes that makes 216 000."""
TRANSFER_WINDOW_NS = 180 * 1_000_000_000
"""How long after a REFER a call to its target counts as the transfer."""

_DIALOG_HEADERS = ("replaces", "join", "target-dialog")
_ANY_DIALOG_HEADER = frozenset(_DIALOG_HEADERS)


class _Expected(msgspec.Struct, frozen=True, gc=False):
    """A call that is expected to some identity: until when, from whom not, and what it will be; and the Call-ID of the
    one that it will take the place of, as it was redirected there.

    Without ``gc=False`` the collector would look at all of them in the middle of a message, for 60 ms.
    """

    until_ns: int
    not_from_ip: str | None
    mark: EmergencyMark
    redirected: str | None = None


class RelatedCalls:
    """Which calls to come belong to an emergency call, by whom they go to; bounded.

    ``has_forgotten``: one that may still come was forgotten to make room for another.
    """

    def __init__(self) -> None:
        self.has_forgotten = False
        self._expected: OrderedDict[str, _Expected] = OrderedDict()

    def expect_callback(self, caller: Caller, call_id: str, now_ns: int) -> None:
        """Expect the PSAP to call back who made an emergency call; never from the caller's own address."""
        expected = _Expected(now_ns + CALLBACK_WINDOW_NS, caller.ip, _callback_mark(call_id))
        for identity in caller.identities:
            self._expect(identity, expected, now_ns)

    def expect_transfer(self, refer_to: str, mark: EmergencyMark, call_id: str, now_ns: int) -> None:
        """Expect a call to the Refer-To target of a REFER within an emergency call."""
        how = f"is the refer_to of emergency call {wire_text(call_id)} (RFC 3515)"
        self._expect_call(parse_name_addr(refer_to), mark, how, now_ns)

    def expect_redirected(self, response: Response, mark: EmergencyMark, call_id: str, now_ns: int) -> None:
        """Expect a call to where an emergency call is redirected to, which a B2BUA makes with a Call-ID of its own."""
        how = f"is where emergency call {wire_text(call_id)} was redirected to (RFC 3261 §8.1.3.4)"
        for contact in islice(response.name_addrs("contact"), MAX_IDENTITIES):
            self._expect_call(contact, mark, how, now_ns, redirected=call_id)

    def _expect_call(
        self, to: NameAddr, mark: EmergencyMark, how: str, now_ns: int, *, redirected: str | None = None
    ) -> None:
        target = identifier(identity_of(parse_uri(to.uri)), LONGEST_IDENTITY)
        if target is not None:
            to_class: EmergencyClass = "test" if mark.emergency_class == "test" else "call"
            expected = EmergencyMark(to_class, mark.service, (f"request_uri {how}",))
            self._expect(target, _Expected(now_ns + TRANSFER_WINDOW_NS, None, expected, redirected), now_ns)

    def expect_location(self, request: Request, mark: EmergencyMark, call_id: str, now_ns: int) -> None:
        """Expect a subscription to the first place where an emergency call says that its caller can be asked for."""
        places = (_place(named.uri) for named in request.name_addrs("geolocation"))
        place = next((each for each in places if each is not None), None)
        if place is not None:
            phrase = f"request_uri is where the caller of emergency call {wire_text(call_id)} is (RFC 6442)"
            asked = EmergencyMark(mark.emergency_class, mark.service, (phrase,))
            self._expect(place, _Expected(now_ns + CALLBACK_WINDOW_NS, None, asked), now_ns)

    def mark_of(self, request: Request, datagram: Datagram, calls: CallTable, now_ns: int) -> EmergencyMark | None:
        """Return the mark of a request outside a dialog that names an emergency call or begins an expected one."""
        named = _named_call(request, calls) if request.has_any(_ANY_DIALOG_HEADER) else None
        if named is not None:
            return named
        if not self._expected:
            return None
        expected = self._expected_as(request, now_ns)
        return expected.mark if expected is not None and datagram.src_ip != expected.not_from_ip else None

    def redirected(self, request: Request, now_ns: int) -> str | None:
        """Return the Call-ID of the emergency call that a request goes on with, as it was redirected there."""
        expected = self._expected_as(request, now_ns)
        return expected.redirected if expected is not None and expected.redirected != request.call_id else None

    def _expected_as(self, request: Request, now_ns: int) -> _Expected | None:
        if begins_call(request):
            identity = identifier(identity_of(request.uri), LONGEST_IDENTITY)
        else:
            identity = _place(request.request_uri) if request.method == "SUBSCRIBE" else None
        expected = self._expected.get(identity) if identity is not None else None
        return expected if expected is not None and now_ns <= expected.until_ns else None

    def _expect(self, identity: str, expected: _Expected, now_ns: int) -> None:
        known = self._expected.pop(identity, None)
        if known is not None and known.not_from_ip != expected.not_from_ip and known.until_ns > now_ns:
            # A PSAP that passes an emergency call on keeps its From, and is who calls back.
            expected = replace(expected, not_from_ip=None)
        if len(self._expected) >= MAX_EXPECTED:
            _, forgotten = self._expected.popitem(last=False)
            self.has_forgotten |= forgotten.until_ns > now_ns
        self._expected[identity] = expected


def _place(uri: str) -> str | None:
    """Name what is asked where a caller is: not as one is named that is called."""
    identity = identity_of(parse_uri(f"sip:{uri[5:]}" if uri[:5].lower() == "pres:" else uri))
    return identifier(f"place {identity}", LONGEST_IDENTITY) if identity is not None else None


@remembered(4096)  # each message of a call asks for the same one
def _callback_mark(call_id: str) -> EmergencyMark:
    phrase = f"request_uri names the caller of emergency call {wire_text(call_id)} (RFC 7090)"
    return EmergencyMark("callback", SOS, (phrase,))


def _named_call(request: Request, calls: CallTable) -> EmergencyMark | None:
    for name in _DIALOG_HEADERS:
        value = request.header(name)
        if value is None:
            continue
        call_id, _, text = value.partition(";")
        params = parse_params(text)
        tags = (params.get("to-tag") or params.get("remote-tag"), params.get("from-tag") or params.get("local-tag"))
        call = calls.get(call_id.strip())
        if call is not None and call.emergency is not None and call.names_dialog(tags):
            mark = call.emergency
            phrase = f"{name.replace('-', '_')} names emergency call {wire_text(call.call_id)} (RFC 3891, 3911, 4538)"
            return EmergencyMark(mark.emergency_class, mark.service, (phrase,))
    return None
