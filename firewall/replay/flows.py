"""RTP told by its flow alone: the shortest way for the packets that most of a capture is made of.

A flow's first packet goes the long way (decoded, compared with the negotiated addresses); those that follow are known
by the bytes of their addresses and ports. Whatever is unusual about a packet sends it the long way again.
"""

from collections.abc import Callable
from struct import Struct
from typing import Any

from firewall.net.capture_record import CaptureRecord
from firewall.net.link import ETHERNET, IPV4, IPV6, RAW
from firewall.net.vantage import LINUX_SLL, LINUX_SLL2

_MAX_FLOWS = 65_536
# Of the link header the Ethernet type; of IPv4 version with length, total length, fragment, protocol, addresses with
# ports, UDP length, first two bytes of the payload. Of IPv6 version, payload length, next header and the same.
_IPV4_UDP = "BxH2xHxB2x12sH2xBB"
_IPV6_UDP = "B3xHBx36sH2xBB"
_LINKS = {ETHERNET: "12x2s", LINUX_SLL: "14x2s", LINUX_SLL2: "2s18x", RAW: "0s", IPV4: "0s", IPV6: "0s"}
_ETHERTYPE4, _ETHERTYPE6 = (b"\x08\x00", b""), (b"\x86\xdd", b"")
_PLAIN_IPV4, _UDP, _UDP_AND_RTP_BYTES = 0x45, 17, 20


def _layout(link: str) -> tuple[Callable[[bytes], tuple[Any, ...]], int, Struct, int]:
    plain4 = Struct(f">{link}{_IPV4_UDP}")
    return plain4.unpack_from, plain4.size, Struct(f">{link}{_IPV6_UDP}"), Struct(f">{link}").size


_LAYOUTS = {link_type: _layout(link) for link_type, link in _LINKS.items()}


class RtpFlows:
    """The flows of which it is known whether they are negotiated media."""

    def __init__(self) -> None:
        self._negotiated: set[bytes] = set()
        self._others: set[bytes] = set()

    def is_negotiated(self, record: CaptureRecord) -> bool | None:
        """Tell whether a frame holds an RTP packet of negotiated media; None when only the long way can tell."""
        flow = rtp_flow(record.link_type, record.data)
        if flow in self._negotiated:
            return True
        return False if flow in self._others else None

    def learn(self, record: CaptureRecord, *, negotiated: bool) -> None:
        """Remember what the long way told of a frame that holds a UDP datagram of no signalling."""
        flow = rtp_flow(record.link_type, record.data)
        if flow is not None:
            known = self._negotiated if negotiated else self._others
            if len(known) >= _MAX_FLOWS:
                known.clear()
            known.add(flow)

    def renew(self, *, forgotten: bool) -> None:
        """Ask again: addresses were negotiated, and perhaps others ``forgotten``."""
        self._others.clear()
        if forgotten:
            self._negotiated.clear()


def rtp_flow(link_type: int, data: bytes) -> bytes | None:
    """Return addresses and ports of a frame that holds nothing but one plain RTP packet over UDP; else None."""
    layout = _LAYOUTS.get(link_type)
    if layout is None:
        return None
    unpack4, least4, plain6, ip_start = layout
    size = len(data)
    if size < least4:
        return None
    ethertype, version, total, fragment, protocol, flow, length, first, second = unpack4(data)
    if version != _PLAIN_IPV4:
        return _rtp_flow6(data, plain6, ip_start) if version >> 4 == 6 else None
    if (
        protocol == _UDP
        and length == total - 20
        and length >= _UDP_AND_RTP_BYTES
        and not fragment & 0x3FFF
        and ip_start + total <= size
        and first >> 6 == 2
        and not 192 <= second <= 223
        and ethertype in _ETHERTYPE4
    ):
        return flow  # type: ignore[no-any-return]
    return None


def _rtp_flow6(data: bytes, plain: Struct, ip_start: int) -> bytes | None:
    if len(data) < plain.size:
        return None
    ethertype, _, total, protocol, flow, length, first, second = plain.unpack_from(data)
    if (
        protocol == _UDP
        and length == total
        and length >= _UDP_AND_RTP_BYTES
        and ip_start + 40 + total <= len(data)
        and first >> 6 == 2
        and not 192 <= second <= 223
        and ethertype in _ETHERTYPE6
    ):
        return flow  # type: ignore[no-any-return]
    return None
