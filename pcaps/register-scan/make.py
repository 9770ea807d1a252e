"""Makes capture.pcap: a scanner that tries extensions, and a 911 call in the middle of it."""

from pathlib import Path

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.finding import Sent
from firewall.lint.flow import VOICE, ordinary_request
from firewall.lint.form import SOS, Form, Style
from firewall.lint.instant import BASE_NS, SECOND_NS
from firewall.lint.probe import Probe, sent_of
from firewall.lint.script import Script
from firewall.lint.witness_capture import capture_bytes


def sent() -> tuple[Sent, ...]:
    scanner = Pair(Endpoint("203.0.113.66"), Endpoint("198.51.100.10"))
    tool = Form("scan", "", "", style=Style("scanner", from_="<sip:100@{host}>", user_agent="friendly-scanner"))
    frames: list[Sent] = []
    for number, method in enumerate(("OPTIONS", *("REGISTER",) * 10, "INVITE")):
        script = Script(scanner, f"scan{number}")
        script.wait(number * 100)
        ordinary_request(script, "caller", method, f"sip:{100 + number}@{{host}}", tool)
        frames += [sent_of(step, Probe(VOICE, tool, scanner, BASE_NS)) for step in script.steps]
    call = Probe(VOICE, SOS, Pair(Endpoint("192.0.2.10"), scanner.psap), BASE_NS + SECOND_NS // 2, "emergency")
    return tuple(sorted((*frames, *call.sent()), key=lambda each: each.at_ns))


if __name__ == "__main__":
    Path(__file__).with_name("capture.pcap").write_bytes(capture_bytes(sent()))
