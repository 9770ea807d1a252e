"""Media addresses that the SIP messages of a capture negotiate, to tell RTP from other UDP."""

from collections import OrderedDict

from firewall.net.datagram import Datagram
from firewall.net.vantage import Vantage
from firewall.replay.copies import COPY_WINDOW_NS
from firewall.replay.flows import RtpFlows
from firewall.sip.body import SDP_TYPE, contents_of_type
from firewall.sip.media_endpoint import endpoints, plain_address
from firewall.sip.message import Message
from firewall.sip.sdp import parse_sdp

_MAX_ENDPOINTS = 262_144


class MediaEndpoints:
    """Addresses and ports that session descriptions announced so far, the oldest forgotten first.

    ``flows`` is the memory of what is known of RTP flows.
    """

    def __init__(self) -> None:
        self.flows = RtpFlows()
        self._known: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._seen: OrderedDict[tuple[str, int, str, int], tuple[Vantage, int]] = OrderedDict()

    def learn(self, message: Message) -> None:
        """Take the media addresses out of a SIP message's session descriptions, those of ICE included (RFC 8839)."""
        if not message.body or b"m=" not in message.body:
            return
        changed: list[tuple[str, int]] = []
        for content in contents_of_type(message, SDP_TYPE):
            for media in parse_sdp(content).media:
                for address, port in dict.fromkeys(((media.address, media.port), *endpoints(media, "rtp"))):
                    changed += self._remember(address, port)
        self.flows.renew(changed)

    def carries(self, datagram: Datagram) -> bool:
        """Tell whether a UDP datagram comes from or goes to a negotiated address."""
        known = self._known
        return (datagram.dst_ip, datagram.dst_port) in known or (datagram.src_ip, datagram.src_port) in known

    def is_copy(self, datagram: Datagram, seen_on: Vantage, now_ns: int) -> bool:
        """Tell whether a media packet is seen a second time, on its way out of the capturing machine.

        A flow is followed where it was seen first, as long as it goes on there.
        """
        ends = (datagram.src_ip, datagram.src_port, datagram.dst_ip, datagram.dst_port)
        first = self._seen.get(ends)
        if first is not None and first[0] != seen_on and now_ns - first[1] <= COPY_WINDOW_NS:
            return True
        if first is None and len(self._seen) >= _MAX_ENDPOINTS:
            self._seen.popitem(last=False)
        self._seen[ends] = seen_on, now_ns
        return False

    def _remember(self, address: str | None, port: int) -> list[tuple[str, int]]:
        """Remember an end, and return the ends that are known or forgotten by that."""
        if address is None or not port:
            return []
        text = plain_address(address)
        if text is None:
            return []  # a host name (RFC 8866 §5.7 allows it): no packet carries it
        end = text, port
        if end in self._known:
            return []
        changed = [end]
        if len(self._known) >= _MAX_ENDPOINTS:
            forgotten, _ = self._known.popitem(last=False)
            changed.append(forgotten)
        self._known[end] = None
        return changed
