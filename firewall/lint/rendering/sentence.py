"""A witness in one line, the same in every format."""

from typing import Any

from firewall.engine.recording import endpoint_text, printable
from firewall.engine.timestamp import timestamp
from firewall.lint.finding import Extent, Sent, Witness
from firewall.net.datagram import Datagram


def witness_sentence(witness: Witness) -> str:
    """Return ``INVITE sip:911@… SIP/2.0, udp a:5060 > b:5060, 2026-01-12T12:00:00…: drop (rule)``."""
    sent = witness.blocked
    what = f"{printable(witness.start_line)}, {ends(sent.datagram)}, {timestamp(sent.at_ns)}"
    return f"{what}: {witness.verdict}, reason {witness.reason}"


def ends(datagram: Datagram) -> str:
    """Return ``udp a:5060 > b:5060``."""
    source = endpoint_text(datagram.src_ip, datagram.src_port)
    return f"{datagram.transport.lower()} {source} > {endpoint_text(datagram.dst_ip, datagram.dst_port)}"


def packet_fields(sent: Sent) -> dict[str, Any]:
    """Return when a packet is sent, and what JSON tells of its way."""
    datagram = sent.datagram
    return {
        "timestamp": timestamp(sent.at_ns),
        "src_ip": datagram.src_ip,
        "src_port": datagram.src_port,
        "dest_ip": datagram.dst_ip,
        "dest_port": datagram.dst_port,
        "proto": datagram.transport,
        "in_iface": datagram.in_iface,
    }


def extent_sentence(extent: Extent) -> str:
    """Return how much was asked."""
    times = f", {number(extent.times)} combinations of schedules" if extent.times > 1 else ""
    return (
        f"{number(extent.messages)} messages of {extent.flows} flows ({number(extent.kinds)} kinds to these rules), "
        f"zone pairs: {extent.pairs}, any address, port, header and size{times}; {number(extent.questions)} questions"
    )


def number(count: int) -> str:
    """Return a number with its thousands apart."""
    return f"{count:,}".replace(",", " ")
