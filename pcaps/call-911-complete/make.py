"""Makes capture.pcap: an ordinary call, and a complete 911 call beside it."""

from pathlib import Path

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.finding import Sent
from firewall.lint.flow import FLOWS, VOICE
from firewall.lint.form import Form, Style
from firewall.lint.instant import BASE_NS, SECOND_NS
from firewall.lint.probe import Probe
from firewall.lint.witness_capture import capture_bytes


def sent() -> tuple[Sent, ...]:
    pair = Pair(Endpoint("192.0.2.10"), Endpoint("198.51.100.10"))
    switch = Style("switch", user_agent="Asterisk PBX 20.5.0")
    ordinary = Form("ordinary", "sip:6175550191@{host}", "<sip:6175550191@{host}>", style=switch)
    emergency = Form("911", "sip:911@{host};user=phone", "<sip:911@{host};user=phone>", style=switch)
    calls = (
        Probe(VOICE, ordinary, pair, BASE_NS, "ordinary"),
        Probe(FLOWS[1], emergency, pair, BASE_NS + SECOND_NS // 2, "emergency"),
    )
    return tuple(sorted((each for call in calls for each in call.sent()), key=lambda each: each.at_ns))


if __name__ == "__main__":
    Path(__file__).with_name("capture.pcap").write_bytes(capture_bytes(sent()))
