"""Makes calls.pcap: ordinary calls by one gateway, emergency calls by the one that is being upgraded."""

from pathlib import Path

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.finding import Sent
from firewall.lint.flow import VOICE
from firewall.lint.form import SOS, Form
from firewall.lint.instant import BASE_NS, SECOND_NS
from firewall.lint.probe import Probe
from firewall.lint.witness_capture import capture_bytes

ORDINARY = Form("ordinary", "sip:+61491570156@{host}", "<sip:+61491570156@{host}>")
DIALLED = Form("000", "sip:000@{host}", "<sip:000@{host}>")


def sent() -> tuple[Sent, ...]:
    """Return the datagrams as the firewall receives them, in the order of time."""
    carrier = Endpoint("192.0.2.10")
    open_gateway, locked = Pair(carrier, Endpoint("198.51.100.10")), Pair(carrier, Endpoint("198.51.100.20"))
    calls = (
        Probe(VOICE, ORDINARY, open_gateway, BASE_NS, "ordinary"),
        Probe(VOICE, DIALLED, locked, BASE_NS + 10 * SECOND_NS, "first"),
        Probe(VOICE, SOS, locked, BASE_NS + 20 * SECOND_NS, "second"),
        Probe(VOICE, ORDINARY, open_gateway, BASE_NS + 30 * SECOND_NS, "works"),
        Probe(VOICE, DIALLED, open_gateway, BASE_NS + 40 * SECOND_NS, "diverted"),
    )
    return tuple(sorted((each for call in calls for each in call.sent()), key=lambda each: each.at_ns))


if __name__ == "__main__":
    Path(__file__).with_name("calls.pcap").write_bytes(capture_bytes(sent()))
