"""Makes calls.pcap: 911 calls to a call server, and after the switch-over to its redundant one."""

from pathlib import Path

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.finding import Sent
from firewall.lint.flow import VOICE
from firewall.lint.form import SOS, Form
from firewall.lint.instant import BASE_NS, SECOND_NS
from firewall.lint.probe import Probe
from firewall.lint.witness_capture import capture_bytes

ORDINARY = Form("ordinary", "sip:6175550191@{host}", "<sip:6175550191@{host}>")
DIALLED = Form("911", "sip:911@{host}", "<sip:911@{host}>")


def sent() -> tuple[Sent, ...]:
    """Return the datagrams as the firewall receives them, in the order of time."""
    carrier = Endpoint("192.0.2.10")
    first, redundant = Pair(carrier, Endpoint("198.51.100.10")), Pair(carrier, Endpoint("198.51.100.138"))
    calls = (
        Probe(VOICE, DIALLED, first, BASE_NS, "before"),
        Probe(VOICE, ORDINARY, first, BASE_NS + 10 * SECOND_NS, "ordinary"),
        Probe(VOICE, DIALLED, redundant, BASE_NS + 60 * SECOND_NS, "after"),
        Probe(VOICE, SOS, redundant, BASE_NS + 70 * SECOND_NS, "again"),
    )
    return tuple(sorted((each for call in calls for each in call.sent()), key=lambda each: each.at_ns))


if __name__ == "__main__":
    Path(__file__).with_name("calls.pcap").write_bytes(capture_bytes(sent()))
