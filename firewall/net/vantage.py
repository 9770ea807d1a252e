"""Where a frame was seen: on which interface, and whether the capturing machine itself sent it there."""

from struct import Struct

from firewall.net.capture_record import CaptureRecord

LINUX_SLL, LINUX_SLL2 = 113, 276
_PACKET_OUTGOING = 4  # linux/if_packet.h

Vantage = tuple[int, bool | None]
"""A number that tells a capture's interfaces apart, and whether a frame was outgoing there (None: not told)."""

_u16 = Struct(">H").unpack_from
_u32 = Struct(">I").unpack_from


def vantage(record: CaptureRecord) -> Vantage:
    """Return where a frame was seen.

    Linux cooked v1 (LINKTYPE_LINUX_SLL) names no interface: all its frames seem to be of one. Cooked v2 has the
    kernel's interface index.
    """
    data = record.data
    if record.link_type == LINUX_SLL2 and len(data) >= 20:
        return _u32(data, 4)[0], data[10] == _PACKET_OUTGOING
    if record.link_type == LINUX_SLL and len(data) >= 16:
        return record.interface_id, _u16(data)[0] == _PACKET_OUTGOING
    return record.interface_id, record.outgoing
