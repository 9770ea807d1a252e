"""Makes capture.pcap: two sides of a trunk that test each other."""

from pathlib import Path

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.finding import Sent
from firewall.lint.flow import FLOWS
from firewall.lint.form import SOS
from firewall.lint.instant import BASE_NS, SECOND_NS
from firewall.lint.probe import Probe
from firewall.lint.witness_capture import capture_bytes


def sent() -> tuple[Sent, ...]:
    pair = Pair(Endpoint("192.0.2.10"), Endpoint("198.51.100.10"))
    ours = next(flow for flow in FLOWS if flow.name == "keep-alive from the caller's side")
    theirs = next(flow for flow in FLOWS if flow.name == "keep-alive from the PSAP's side")
    tests = (Probe(ours, SOS, pair, BASE_NS, "ours"), Probe(theirs, SOS, pair, BASE_NS + 7 * SECOND_NS, "theirs"))
    return tuple(sorted((each for test in tests for each in test.sent()), key=lambda each: each.at_ns))


if __name__ == "__main__":
    Path(__file__).with_name("capture.pcap").write_bytes(capture_bytes(sent()))
