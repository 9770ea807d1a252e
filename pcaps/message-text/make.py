"""Makes capture.pcap: text messages to the emergency service, an alert without a call, and a chat message."""

from pathlib import Path

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.finding import Sent
from firewall.lint.flow import FLOWS
from firewall.lint.form import Form, forms
from firewall.lint.instant import BASE_NS, SECOND_NS
from firewall.lint.probe import Probe
from firewall.lint.witness_capture import capture_bytes
from firewall.ruleset.policy import EmergencyPolicy

_TEXTS = (
    "MESSAGE urn:service:sos",
    "MESSAGE urn:service:sos, anonymous caller",
    "CAP alert to urn:service:sos",
    "CAP alert to an ordinary address",
)


def sent() -> tuple[Sent, ...]:
    pair = Pair(Endpoint("192.0.2.10"), Endpoint("198.51.100.10"))
    text = next(flow for flow in FLOWS if flow.name == "text message")
    messages = [form for form in forms(EmergencyPolicy()) if form.name in _TEXTS]
    chat = Form("chat", "sip:alice@{host}", "<sip:alice@{host}>", flow="text", body=messages[0].body)
    return tuple(
        each
        for number, form in enumerate((*messages, chat))
        for each in Probe(text, form, pair, BASE_NS + number * SECOND_NS, f"text{number}").sent()
    )


if __name__ == "__main__":
    Path(__file__).with_name("capture.pcap").write_bytes(capture_bytes(sent()))
