"""A peer of the testbed that is no SIPp: one socket, and bytes as a test wants them."""

import socket

from firewall.live import testbed as live_testbed
from tests.media import rtp


def udp_socket(namespace: str, address: str, port: int = 5060) -> socket.socket:
    """Return a UDP socket of a peer, in its namespace, at its address."""

    def bound() -> socket.socket:
        opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        opened.settimeout(5)
        opened.bind((address, port))
        return opened

    return live_testbed.in_namespace(namespace, bound)


def request(method: str, caller: str, called: str, *, user: str = "service", body: bytes = b"") -> bytes:
    """Return a request as a peer would send it."""
    source, destination = (f"[{ip}]" if ":" in ip else ip for ip in (caller, called))
    return (
        f"{method} sip:{user}@{destination} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {source}:5060;branch=z9hG4bK-1-{method}\r\n"
        f"Max-Forwards: 70\r\n"
        f"From: <sip:caller@{source}>;tag=1\r\n"
        f"To: <sip:{user}@{destination}>\r\n"
        f"Call-ID: 1-{method}@{caller}\r\n"
        f"CSeq: 1 {method}\r\n"
        f"Contact: <sip:caller@{source}:5060>\r\n"
        f"Content-Type: application/sdp\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def tcp_server(namespace: str, address: str, port: int = 5060) -> socket.socket:
    """Return a listening TCP socket of a peer."""

    def listening() -> socket.socket:
        opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        opened.settimeout(5)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((address, port))
        opened.listen(64)
        return opened

    return live_testbed.in_namespace(namespace, listening)


def tcp_client(
    namespace: str, address: str, to: str, port: int = 5060, *, own_port: int = 0, within_s: float = 5
) -> socket.socket:
    """Return a TCP connection of a peer, from its address and, where it says so, from that port of its own."""

    def connected() -> socket.socket:
        opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        opened.settimeout(within_s)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.bind((address, own_port))
        try:
            opened.connect((to, port))
        except OSError:
            opened.close()
            raise
        return opened

    return live_testbed.in_namespace(namespace, connected)


def read_bytes(connection: socket.socket, count: int) -> bytes:
    """Return the next ``count`` bytes of a stream, fewer only where it ends before."""
    received = bytearray()
    while len(received) < count and (some := connection.recv(count - len(received))):
        received += some
    return bytes(received)


def passed(sender: socket.socket, receiver: socket.socket, to: tuple[str, int], first: int, count: int) -> int:
    """Send RTP; return how many packets arrive unchanged (what the testbed forwards is there at once)."""
    packets = [rtp(first + number) for number in range(count)]
    for packet in packets:
        sender.sendto(packet, to)
    receiver.settimeout(0.2)
    received = []
    try:
        while len(received) < count:
            received.append(receiver.recv(2048))
    except TimeoutError:
        pass
    assert received == packets[: len(received)]
    return len(received)
