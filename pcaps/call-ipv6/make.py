"""Makes capture.pcap: an emergency call over IPv6, cancelled while it rings, and placed again."""

from pathlib import Path

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.finding import Sent
from firewall.lint.flow import FLOWS, VOICE
from firewall.lint.form import Form
from firewall.lint.instant import BASE_NS, SECOND_NS
from firewall.lint.probe import Probe
from firewall.lint.witness_capture import capture_bytes


def sent() -> tuple[Sent, ...]:
    pair = Pair(Endpoint("2001:db8:1::10"), Endpoint("2001:db8:2::10"))
    police = Form("police", "urn:service:sos.police", "<urn:service:sos.police>")
    cancelled = next(flow for flow in FLOWS if flow.name == "call cancelled while ringing")
    first = Probe(cancelled, police, pair, BASE_NS, "first")
    again = Probe(VOICE, police, pair, BASE_NS + 5 * SECOND_NS, "again")
    return first.sent() + again.sent()


if __name__ == "__main__":
    Path(__file__).with_name("capture.pcap").write_bytes(capture_bytes(sent()))
