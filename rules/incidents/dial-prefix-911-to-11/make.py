"""Makes calls.pcap: an outside call, 911, 9-911, and what is left of 911 when the 9 is cut off."""

from pathlib import Path

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.finding import Sent
from firewall.lint.flow import VOICE
from firewall.lint.form import Form
from firewall.lint.instant import BASE_NS, SECOND_NS
from firewall.lint.probe import Probe
from firewall.lint.witness_capture import capture_bytes

OUTSIDE = Form("outside", "sip:96175550191@{host}", "<sip:96175550191@{host}>")
DIALLED = Form("911", "sip:911@{host}", "<sip:911@{host}>")
PREFIXED = Form("9911", "sip:9911@{host}", "<sip:9911@{host}>")
CUT = Form("11", "sip:11@{host}", "<sip:11@{host}>")


def sent() -> tuple[Sent, ...]:
    """Return the datagrams as the firewall receives them, in the order of time."""
    trunk = Pair(Endpoint("192.0.2.10"), Endpoint("198.51.100.10"))
    calls = (
        Probe(VOICE, OUTSIDE, trunk, BASE_NS, "outside"),
        Probe(VOICE, DIALLED, trunk, BASE_NS + 1 * SECOND_NS, "dialled"),
        Probe(VOICE, PREFIXED, trunk, BASE_NS + 2 * SECOND_NS, "prefixed"),
        Probe(VOICE, CUT, trunk, BASE_NS + 3 * SECOND_NS, "cut"),
    )
    return tuple(sorted((each for call in calls for each in call.sent()), key=lambda each: each.at_ns))


if __name__ == "__main__":
    Path(__file__).with_name("calls.pcap").write_bytes(capture_bytes(sent()))
