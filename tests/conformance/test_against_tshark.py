"""An independent reader of the same torture messages: tshark's fields against ours."""

import json
import subprocess
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import wrpcap

from firewall.errors import SipSyntaxError
from firewall.sip.message import Request, parse_message
from tests.conformance.rfc5118 import VECTORS as RFC5118
from tests.conformance.test_rfc4475 import VECTORS as RFC4475

VECTORS = (*RFC4475, *RFC5118)
FIELDS = (
    "sip.Method",
    "sip.r-uri",
    "sip.Status-Code",
    "sip.Call-ID",
    "sip.CSeq.seq",
    "sip.CSeq.method",
    "sip.from.tag",
)

# Where the two read differently, and why ours is kept: (message, field) -> reason.
DIFFERENCES: dict[tuple[str, str], str] = {
    (
        "wsinv",
        "sip.from.tag",
    ): "tshark finds no tag with blanks around its equals sign; RFC 3261 §25.1 EQUAL allows them",
    ("intmeth", "sip.CSeq.method"): "tshark shows none of more than 16 characters; RFC 3261 §25.1 sets no limit",
    (
        "scalar02",
        "sip.CSeq.seq",
    ): "over 32 bits: tshark shows the largest number, which could match a rule; ours is absent",
    (
        "scalarlg",
        "sip.CSeq.seq",
    ): "over 32 bits: tshark shows the largest number, which could match a rule; ours is absent",
    ("ltgtruri", "sip.r-uri"): "tshark keeps the angle brackets; a rule on the URI could be passed by adding them",
    # Blanks or another version in the request line: tshark takes none of them for SIP, yet the method can be told
    # (NENA-STA-010.3 §3.1.1) and elements behind the firewall may well answer.
    **{
        (message, name): "tshark does not take the request line for SIP"
        for message in ("lwsruri", "lwsstart", "trws", "badvers")
        for name in FIELDS
        if name != "sip.Status-Code"
    },
}


def ours(raw: bytes) -> dict[str, list[str]]:
    try:
        message = parse_message(raw)
    except SipSyntaxError:
        return {name: [] for name in FIELDS}
    is_request = isinstance(message, Request)
    first: dict[str, str | int | None] = {
        "sip.Method": message.method if is_request else None,
        "sip.r-uri": message.request_uri if is_request else None,
        "sip.Status-Code": None if is_request else message.status_code,
        "sip.Call-ID": message.call_id,
        "sip.CSeq.seq": message.cseq_number,
        "sip.CSeq.method": message.cseq_method,
        "sip.from.tag": message.from_tag,
    }
    return {name: [] if value is None else [str(value)] for name, value in first.items()}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, list[str]]]:
    """The first value of each field that tshark finds in each message."""
    path: Path = tmp_path_factory.mktemp("torture") / "torture.pcap"
    ethernet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="192.0.2.10", dst="198.51.100.10")
    wrpcap(str(path), [ethernet / UDP(sport=5060, dport=5060) / Raw(vector.raw) for vector in VECTORS])
    command = ["tshark", "-n", "-r", str(path), "-T", "json"]
    for name in FIELDS:
        command += ["-e", name]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    packets = json.loads(done.stdout.decode("utf-8", "surrogateescape"))
    return [{name: packet["_source"]["layers"].get(name, [])[:1] for name in FIELDS} for packet in packets]


@pytest.mark.parametrize("number", range(len(VECTORS)), ids=[vector.id for vector in VECTORS])
def test_tshark_reads_the_same(number: int, theirs: list[dict[str, list[str]]]) -> None:
    vector, reading = VECTORS[number], ours(VECTORS[number].raw)
    assert len(theirs) == len(VECTORS)
    differing = {name for name in FIELDS if theirs[number][name] != reading[name]}
    assert differing == {name for message, name in DIFFERENCES if message == vector.name}, (theirs[number], reading)
