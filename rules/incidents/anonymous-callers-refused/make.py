"""Makes calls.pcap: 911 calls without a SIM, with a withheld number and with a known one; an ordinary call."""

from dataclasses import replace
from pathlib import Path

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.finding import Sent
from firewall.lint.flow import VOICE
from firewall.lint.form import SOS, Form, Style
from firewall.lint.instant import BASE_NS, SECOND_NS
from firewall.lint.probe import Probe
from firewall.lint.witness_capture import capture_bytes

ORDINARY = Form("ordinary", "sip:6175550191@{host}", "<sip:6175550191@{host}>")
DIALLED = Form("911", "sip:911@{host}", "<sip:911@{host}>")
NO_SIM = Style("anonymous caller", from_="<sip:anonymous@anonymous.invalid>")
WITHHELD = Style("withheld number", from_='"Anonymous" <sip:anonymous@anonymous.invalid>', headers=(("Privacy", "id"),))


def sent() -> tuple[Sent, ...]:
    """Return the datagrams as the firewall receives them, in the order of time."""
    trunk = Pair(Endpoint("192.0.2.10"), Endpoint("198.51.100.10"))
    calls = (
        Probe(VOICE, ORDINARY, trunk, BASE_NS, "ordinary"),
        Probe(VOICE, DIALLED, trunk, BASE_NS + 1 * SECOND_NS, "dialled"),
        Probe(VOICE, replace(SOS, style=NO_SIM), trunk, BASE_NS + 2 * SECOND_NS, "nosim"),
        Probe(VOICE, replace(DIALLED, style=WITHHELD), trunk, BASE_NS + 3 * SECOND_NS, "withheld"),
    )
    return tuple(sorted((each for call in calls for each in call.sent()), key=lambda each: each.at_ns))


if __name__ == "__main__":
    Path(__file__).with_name("calls.pcap").write_bytes(capture_bytes(sent()))
