"""A witness in one line, the same in every format."""

from firewall.engine.recording import endpoint_text, printable
from firewall.engine.timestamp import timestamp
from firewall.lint.finding import Extent, Witness


def witness_sentence(witness: Witness) -> str:
    """Return ``INVITE sip:911@… SIP/2.0, udp a:5060 > b:5060, 2026-01-12T12:00:00…: drop (rule)``."""
    blocked = witness.blocked
    datagram = blocked.datagram
    source = endpoint_text(datagram.src_ip, datagram.src_port)
    destination = endpoint_text(datagram.dst_ip, datagram.dst_port)
    return (
        f"{printable(witness.start_line)}, {datagram.transport.lower()} {source} > {destination}, "
        f"{timestamp(blocked.at_ns)}: {witness.verdict}, reason {witness.reason}"
    )


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
