"""Makes calls.pcap: a flood of registrations with 911 calls in it, and one after it."""

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
    psap = Endpoint("198.51.100.10")
    trunk = Pair(Endpoint("192.0.2.10"), psap)
    frames = []
    for number in range(900):  # 300 registrations a second, for three seconds
        phone = Pair(Endpoint(f"192.0.2.{20 + number % 200}"), psap)
        script = Script(phone, f"register{number}")
        script.wait(number * 10 // 3)
        ordinary_request(script, "caller", "REGISTER", "sip:access.example")
        frames += [sent_of(step, Probe(VOICE, SOS, phone, BASE_NS)) for step in script.steps]
    calls = (
        Probe(VOICE, ORDINARY, trunk, BASE_NS + SECOND_NS, "ordinary"),
        Probe(VOICE, DIALLED, trunk, BASE_NS + 3 * SECOND_NS // 2, "during"),
        Probe(VOICE, SOS, trunk, BASE_NS + 2 * SECOND_NS, "also"),
        Probe(VOICE, ORDINARY, trunk, BASE_NS + 15 * SECOND_NS, "recovered"),
        Probe(VOICE, DIALLED, trunk, BASE_NS + 20 * SECOND_NS, "later"),
    )
    frames += [each for call in calls for each in call.sent()]
    return tuple(sorted(frames, key=lambda each: each.at_ns))


if __name__ == "__main__":
    Path(__file__).with_name("calls.pcap").write_bytes(capture_bytes(sent()))
