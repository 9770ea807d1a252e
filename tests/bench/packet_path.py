"""``make bench``: what the packet path costs, in microseconds of one core for each message.

Each figure is the best of several runs over many different calls, so it is what the code costs on a machine that does
nothing else, without the kernel's share (sockets, nftables) and without writing the log to disk. The policy is
rules/start.yaml; the messages are those of an ordinary call with SDP.
"""

import platform
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from firewall.cli.policy_file import read_policy
from firewall.engine.engine import Engine
from firewall.engine.events import DatagramReceived, Started
from firewall.engine.outputs import Output, Reply, Write
from firewall.engine.record import encode
from firewall.net.capture_record import CaptureRecord
from firewall.net.datagram import Datagram
from firewall.net.frame import ETHERNET, FrameDecoder
from firewall.sip.message import parse_message
from tests.media import answer, sdp
from tests.messages import CARRIER, PSAP, SDP, request, response

ROOT = Path(__file__).parents[2]
CALLS = 1000
RUNS = 5
BEGIN_NS = 1_800_000_000_000_000_000
ANSWER = sdp(PSAP[0], "audio 49170 RTP/AVP 0 101")
AT_ONCE = 25
"""Calls that go on at the same time: rules/start.yaml rejects more INVITEs of one source within two seconds."""
CALLS_EVERY_NS = 2_000_000_000
MESSAGE_EVERY_NS = 1_000_000
HEADERS = (
    "Contact: <sip:6175550123@192.0.2.10:5060>",
    "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE",
    "Supported: 100rel, timer",
    "User-Agent: trunk-gateway 7.2",
    "P-Asserted-Identity: <sip:6175550123@192.0.2.10>",
    "Content-Type: application/sdp",
)


def call(number: int, dialled: str, offer: str = SDP, answered: str = ANSWER) -> list[tuple[str, Datagram]]:
    """Return one call's messages in order, each with its name."""
    common = {"uri": f"sip:{dialled}@198.51.100.10", "call_id": f"{dialled}-{number}@192.0.2.10"}
    invite = request("INVITE", **common, headers=HEADERS, body=offer)
    bye = request("BYE", **common, to_tag="psap", cseq=2)
    return [
        ("INVITE", up(invite)),
        ("180", down(response(invite, 180, phrase="Ringing"))),
        ("200", down(answer(invite, answered))),
        ("ACK", up(request("ACK", **common, to_tag="psap"))),
        ("BYE", up(bye)),
        ("200 to BYE", down(response(bye))),
    ]


def routing(payload: bytes) -> tuple[object, ...]:
    """Read what says where a message goes and to what it belongs."""
    message = parse_message(payload)
    ends = message.call_id, message.from_tag, message.to_tag, message.cseq_number, message.cseq_method
    return (*ends, message.via_branch, message.header("contact"), message.header_values("route"))


def medium(number: int) -> str:
    """Return the medium of one call, on a port of its own."""
    return f"audio {20_000 + 2 * number} RTP/AVP 0 101"


def up(payload: bytes) -> Datagram:
    """Return a datagram from the carrier."""
    return Datagram(*CARRIER, *PSAP, payload, in_iface="f0")


def down(payload: bytes) -> Datagram:
    """Return a datagram from the dispatch centre."""
    return Datagram(*PSAP, *CARRIER, payload, in_iface="f1")


def best_us(work: Callable[[], int]) -> float:
    """Return the best time of one unit of work; ``work`` returns how many units it did."""
    taken = []
    for _ in range(RUNS):
        begun_ns = time.perf_counter_ns()
        units = work()
        taken.append((time.perf_counter_ns() - begun_ns) / units / 1000)
    return min(taken)


def engine_us(dialled: str) -> tuple[dict[str, float], list[Output]]:
    """Return the time of ``Engine.handle`` for each message of a call, and the outputs of the last run."""
    policy = read_policy(str(ROOT / "rules" / "start.yaml"))
    calls = [
        call(number, dialled, sdp(CARRIER[0], medium(number)), sdp(PSAP[0], medium(number))) for number in range(CALLS)
    ]
    best: dict[str, float] = {}
    outputs: list[Output] = []
    for _ in range(RUNS):
        engine = Engine(policy)
        engine.handle(Started(), BEGIN_NS)
        outputs = []
        for first in range(0, CALLS, AT_ONCE):
            now_ns = BEGIN_NS + first // AT_ONCE * CALLS_EVERY_NS
            for messages in zip(*calls[first : first + AT_ONCE], strict=True):
                name = messages[0][0]
                events = [DatagramReceived(datagram) for _, datagram in messages]
                begun_ns = time.perf_counter_ns()
                for event in events:
                    now_ns += MESSAGE_EVERY_NS
                    outputs += engine.handle(event, now_ns)
                taken_us = (time.perf_counter_ns() - begun_ns) / len(events) / 1000
                best[name] = min(taken_us, best.get(name, taken_us))
        if any(isinstance(output, Reply) for output in outputs):
            raise AssertionError("a call of the bench is rejected")
    return best, outputs


def main() -> None:
    """Measure, and print one table."""
    table = Table("what", "µs per message", title="one core, best of several runs", title_justify="left")
    table.columns[1].justify = "right"

    def row(what: str, figure_us: float) -> None:
        table.add_row(what, f"{figure_us:.1f}")

    invite = call(1, "2125550123")[0][1]
    frame = CaptureRecord(1, BEGIN_NS, ETHERNET, framed(invite), len(framed(invite)))
    decoder = FrameDecoder()
    row("decode a frame: Ethernet, IPv4, UDP", best_us(lambda: repeat(lambda: decoder.decode(frame))))
    row(
        f"parse an INVITE of {len(invite.payload)} bytes",
        best_us(lambda: read_anew(parse_message, invite.payload)),
    )
    row("the same, with its routing headers (<= 12 asked for)", best_us(lambda: read_anew(routing, invite.payload)))
    table.add_section()
    for dialled, kind in (("2125550123", "ordinary"), ("911", "911")):
        by_message, outputs = engine_us(dialled)
        for name, figure_us in by_message.items():
            row(f"Engine.handle, {kind} call, {name}", figure_us)
        row(f"Engine.handle, {kind} call, mean", mean(by_message.values()))
        table.add_section()
    records = [output.record for output in outputs if isinstance(output, Write)]
    row("encode a decision as JSON", best_us(lambda: sum(1 for record in records if encode(record))))
    Console().print(f"Python {platform.python_version()}, {platform.machine()}, {CALLS} calls", table, sep="\n")


def framed(datagram: Datagram) -> bytes:
    """Return the Ethernet frame that carries a datagram."""
    ip = IP(src=datagram.src_ip, dst=datagram.dst_ip) / UDP(sport=datagram.src_port, dport=datagram.dst_port)
    return bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / ip / datagram.payload)


def repeat(work: Callable[[], object]) -> int:
    """Do some work a thousand times."""
    for _ in range(CALLS):
        work()
    return CALLS


def read_anew(read: Callable[[bytes], object], payload: bytes) -> int:
    """Read copies of a message a thousand times: of the very bytes that were read last the message is remembered."""
    copies = payload, bytes(bytearray(payload))
    for _ in range(CALLS // 2):
        for copy in copies:
            read(copy)
    return CALLS


def mean(figures: Iterable[float]) -> float:
    """Return the arithmetic mean."""
    values: Sequence[float] = list(figures)
    return sum(values) / len(values)


if __name__ == "__main__":
    sys.exit(main())
