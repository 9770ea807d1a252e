"""Makes calls.pcap: a 911 call and an ordinary one with their voice, both ways."""

import struct
from pathlib import Path

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.finding import Sent
from firewall.lint.flow import VOICE
from firewall.lint.form import Form
from firewall.lint.instant import BASE_NS, SECOND_NS
from firewall.lint.probe import Probe
from firewall.lint.witness_capture import capture_bytes
from firewall.net.datagram import Datagram

ORDINARY = Form("ordinary", "sip:6175550191@{host}", "<sip:6175550191@{host}>")
DIALLED = Form("911", "sip:911@{host}", "<sip:911@{host}>")


def sent() -> tuple[Sent, ...]:
    """Return the datagrams as the firewall receives them, in the order of time."""
    trunk = Pair(Endpoint("192.0.2.10"), Endpoint("198.51.100.10"))
    dialled = Probe(VOICE, DIALLED, trunk, BASE_NS, "dialled")
    ordinary = Probe(VOICE, ORDINARY, trunk, BASE_NS + 20 * SECOND_NS, "ordinary")
    frames = [*dialled.sent(), *ordinary.sent()]
    for probe in (dialled, ordinary):
        answered_ns = next(each.at_ns for each in probe.sent() if each.label == "ACK")
        frames += [*_voice(trunk.caller, trunk.psap, answered_ns, 1), *_voice(trunk.psap, trunk.caller, answered_ns, 2)]
    return tuple(sorted(frames, key=lambda each: each.at_ns))


def _voice(source: Endpoint, destination: Endpoint, answered_ns: int, ssrc: int) -> list[Sent]:
    """Half a second of G.711 silence, a packet each 20 ms (RFC 3550 §5.1, RFC 3551 §4.5.14)."""
    packets = []
    for number in range(25):
        header = struct.pack("!BBHII", 0x80, 0, number, number * 160, ssrc)
        media = Datagram(source.ip, 49170, destination.ip, 49170, header + b"\xff" * 160)
        at_ns = answered_ns + (number + 1) * SECOND_NS // 50 + ssrc * 1000
        packets.append(Sent(at_ns, media, "RTP"))
    return packets


if __name__ == "__main__":
    Path(__file__).with_name("calls.pcap").write_bytes(capture_bytes(sent()))
