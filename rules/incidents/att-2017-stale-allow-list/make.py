"""Makes calls.pcap: 911 calls from both address blocks of a routing partner, and an ordinary call from the first."""

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
    psap = Endpoint("198.51.100.10")
    first, second = Pair(Endpoint("192.0.2.10"), psap), Pair(Endpoint("192.0.2.140"), psap)
    calls = (
        Probe(VOICE, ORDINARY, first, BASE_NS, "ordinary"),
        Probe(VOICE, DIALLED, first, BASE_NS + SECOND_NS, "first"),
        Probe(VOICE, DIALLED, second, BASE_NS + 2 * SECOND_NS, "second"),
        Probe(VOICE, SOS, second, BASE_NS + 3 * SECOND_NS, "third"),
    )
    return tuple(sorted((each for call in calls for each in call.sent()), key=lambda each: each.at_ns))


if __name__ == "__main__":
    Path(__file__).with_name("calls.pcap").write_bytes(capture_bytes(sent()))
