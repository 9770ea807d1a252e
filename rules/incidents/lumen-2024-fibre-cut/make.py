"""Makes calls.pcap: a 911 call that works, then a cut line: one unheard, one given up; and a call after the repair."""

from dataclasses import replace
from pathlib import Path

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.finding import Sent
from firewall.lint.flow import FLOWS, VOICE
from firewall.lint.form import SOS, Form
from firewall.lint.instant import BASE_NS, SECOND_NS
from firewall.lint.probe import Probe
from firewall.lint.witness_capture import capture_bytes

ORDINARY = Form("ordinary", "sip:6175550191@{host}", "<sip:6175550191@{host}>")
DIALLED = Form("911", "sip:911@{host}", "<sip:911@{host}>")
GIVES_UP = next(flow for flow in FLOWS if flow.name == "call cancelled while ringing")


def sent() -> tuple[Sent, ...]:
    """Return the datagrams as the firewall receives them, in the order of time."""
    trunk = Pair(Endpoint("192.0.2.10"), Endpoint("198.51.100.10"))
    cut_ns = BASE_NS + 60 * SECOND_NS
    works = Probe(VOICE, DIALLED, trunk, BASE_NS, "works").sent()
    # The line behind the firewall is cut: nothing comes back, so the switch sends again (RFC 3261 §17.1.1.2, Timer A).
    invite = Probe(VOICE, DIALLED, trunk, cut_ns, "unheard").sent()[0]
    unheard = tuple(replace(invite, at_ns=invite.at_ns + ms * SECOND_NS // 1000) for ms in (0, 500, 1500, 3500, 7500))
    # The second caller hears that it rings, as the line fails; and hangs up.
    gave_up = Probe(GIVES_UP, SOS, trunk, cut_ns - 2 * SECOND_NS, "gaveup").sent()
    # Ordinary calls take the same fibre.
    ordinary = Probe(VOICE, ORDINARY, trunk, cut_ns + 5 * SECOND_NS, "ordinary").sent()[:1]
    spliced = Probe(VOICE, DIALLED, trunk, BASE_NS + 9000 * SECOND_NS, "spliced").sent()
    return tuple(sorted((*works, *gave_up, *unheard, *ordinary, *spliced), key=lambda each: each.at_ns))


if __name__ == "__main__":
    Path(__file__).with_name("calls.pcap").write_bytes(capture_bytes(sent()))
