"""Makes capture.pcap: a call to urn:service:sos with 10 KB of location and additional data, in IP fragments."""

from dataclasses import replace
from pathlib import Path

from firewall.lint import bodies
from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.finding import Sent
from firewall.lint.flow import VOICE
from firewall.lint.form import SOS
from firewall.lint.instant import BASE_NS
from firewall.lint.probe import Probe
from firewall.lint.witness_capture import capture_bytes


def sent() -> tuple[Sent, ...]:
    pair = Pair(Endpoint("192.0.2.10"), Endpoint("198.51.100.10"))
    located = replace(SOS, body=bodies.everything)
    return Probe(VOICE, located, pair, BASE_NS, "located").sent()


if __name__ == "__main__":
    Path(__file__).with_name("capture.pcap").write_bytes(capture_bytes(sent(), fragment_bytes=1480))
