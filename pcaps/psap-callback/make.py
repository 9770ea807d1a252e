"""Makes capture.pcap: a dropped 911 call, the dispatcher calling back, and a dispatcher's private call."""

from pathlib import Path

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.finding import Sent
from firewall.lint.flow import FLOWS, VOICE
from firewall.lint.form import SOS, Form
from firewall.lint.instant import BASE_NS, SECOND_NS
from firewall.lint.probe import Probe
from firewall.lint.witness_capture import capture_bytes


def sent() -> tuple[Sent, ...]:
    caller, desk = Endpoint("192.0.2.10"), Endpoint("198.51.100.10")
    number = "sip:911@{host}"
    emergency = Form("911", number, f"<{number}>")
    unmarked = next(flow for flow in FLOWS if flow.name == "callback without a mark")
    marked = next(flow for flow in FLOWS if flow.name == "callback marked psap-callback")
    later = BASE_NS + 20 * 60 * SECOND_NS
    ordinary = Form("ordinary", "sip:6175550191@{host}", "<sip:6175550191@{host}>")
    calls = (
        Probe(unmarked, emergency, Pair(caller, desk), BASE_NS, "cutoff"),
        Probe(marked, SOS, Pair(Endpoint("192.0.2.20"), desk), later, "marked"),
        # The other way round: who calls here is the desk.
        Probe(VOICE, ordinary, Pair(desk, Endpoint("192.0.2.30")), later + 60 * SECOND_NS, "private"),
    )
    return tuple(each for call in calls for each in call.sent())


if __name__ == "__main__":
    Path(__file__).with_name("capture.pcap").write_bytes(capture_bytes(sent()))
