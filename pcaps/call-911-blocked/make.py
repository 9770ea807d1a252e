"""Makes capture.pcap: a 911 call that gets no answer, and an ordinary call that works."""

from dataclasses import replace
from pathlib import Path

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.finding import Sent
from firewall.lint.flow import VOICE
from firewall.lint.form import Form, Style
from firewall.lint.instant import BASE_NS, SECOND_NS
from firewall.lint.probe import Probe
from firewall.lint.witness_capture import capture_bytes


def sent() -> tuple[Sent, ...]:
    pair = Pair(Endpoint("192.0.2.10"), Endpoint("198.51.100.10"))
    switch = Style("switch", user_agent="Asterisk PBX 20.5.0")
    ordinary = Form("ordinary", "sip:6175550191@{host}", "<sip:6175550191@{host}>", style=switch)
    emergency = Form("911", "sip:911@{host}", "<sip:911@{host}>", style=switch)
    passes = Probe(VOICE, ordinary, pair, BASE_NS, "ordinary").sent()
    invite = Probe(VOICE, emergency, pair, BASE_NS + SECOND_NS, "emergency").sent()[0]
    # Nothing comes back, so the switch sends it again: Timer A, RFC 3261 §17.1.1.2.
    again = tuple(replace(invite, at_ns=invite.at_ns + ms * SECOND_NS // 1000) for ms in (0, 500, 1500, 3500))
    return tuple(sorted((*passes, *again), key=lambda each: each.at_ns))


if __name__ == "__main__":
    Path(__file__).with_name("capture.pcap").write_bytes(capture_bytes(sent()))
