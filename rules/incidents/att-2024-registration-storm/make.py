"""Makes calls.pcap: 911 calls before, in and after a storm of registrations from the same address."""

from pathlib import Path

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.finding import Sent
from firewall.lint.flow import VOICE, ordinary_request
from firewall.lint.form import SOS, Form
from firewall.lint.instant import BASE_NS, SECOND_NS
from firewall.lint.probe import Probe, sent_of
from firewall.lint.script import Script
from firewall.lint.witness_capture import capture_bytes

ORDINARY = Form("ordinary", "sip:6175550191@{host}", "<sip:6175550191@{host}>")
DIALLED = Form("911", "sip:911@{host}", "<sip:911@{host}>")


def sent() -> tuple[Sent, ...]:
    """Return the datagrams as the firewall receives them, in the order of time."""
    trunk = Pair(Endpoint("192.0.2.10"), Endpoint("198.51.100.10"))
    frames = []
    for number in range(120):  # phones that come back all at once, behind one address of the carrier
        script = Script(trunk, f"register{number}")
        script.wait(30_000 + number * 5)
        ordinary_request(script, "caller", "REGISTER", "sip:ims.example")
        frames += [sent_of(step, Probe(VOICE, SOS, trunk, BASE_NS)) for step in script.steps]
    calls = (
        Probe(VOICE, DIALLED, trunk, BASE_NS, "before"),
        Probe(VOICE, ORDINARY, trunk, BASE_NS + 10 * SECOND_NS, "ordinary"),
        Probe(VOICE, DIALLED, trunk, BASE_NS + 40 * SECOND_NS, "during"),
        Probe(VOICE, SOS, trunk, BASE_NS + 120 * SECOND_NS, "still"),
        Probe(VOICE, DIALLED, trunk, BASE_NS + 400 * SECOND_NS, "over"),
    )
    frames += [each for call in calls for each in call.sent()]
    return tuple(sorted(frames, key=lambda each: each.at_ns))


if __name__ == "__main__":
    Path(__file__).with_name("calls.pcap").write_bytes(capture_bytes(sent()))
