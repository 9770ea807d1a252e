"""Makes calls.pcap: a 911 call, a trunk's keep-alive; five minutes later the trunk is out of service."""

from pathlib import Path

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.finding import Sent
from firewall.lint.flow import FLOWS, VOICE
from firewall.lint.form import SOS, Form
from firewall.lint.instant import BASE_NS, SECOND_NS
from firewall.lint.probe import Probe
from firewall.lint.witness_capture import capture_bytes

ORDINARY = Form("ordinary", "sip:6175550191@{host}", "<sip:6175550191@{host}>")
DIALLED = Form("911", "sip:911@{host}", "<sip:911@{host}>")
KEEP_ALIVE = next(flow for flow in FLOWS if flow.name == "keep-alive from the caller's side")
REFUSED = next(flow for flow in FLOWS if flow.name == "call refused by the PSAP")


def sent() -> tuple[Sent, ...]:
    """Return the datagrams as the firewall receives them, in the order of time."""
    trunk = Pair(Endpoint("192.0.2.10"), Endpoint("198.51.100.10"))
    works = Probe(VOICE, DIALLED, trunk, BASE_NS - 60 * SECOND_NS, "works").sent()
    keep_alive = Probe(KEEP_ALIVE, SOS, trunk, BASE_NS, "keepalive").sent()
    # The carrier has taken the trunk out of service by then: it tries once more, and the other side refuses.
    refused = Probe(REFUSED, DIALLED, trunk, BASE_NS + 300 * SECOND_NS, "refused").sent()
    ordinary = Probe(REFUSED, ORDINARY, trunk, BASE_NS + 310 * SECOND_NS, "ordinary").sent()
    return (*works, *keep_alive, *refused, *ordinary)


if __name__ == "__main__":
    Path(__file__).with_name("calls.pcap").write_bytes(capture_bytes(sent()))
