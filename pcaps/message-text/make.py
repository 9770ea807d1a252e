"""Makes capture.pcap: text messages to the emergency service, an alert without a call, and a chat message."""

from dataclasses import replace
from pathlib import Path

from firewall.lint import bodies
from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.finding import Sent
from firewall.lint.flow import FLOWS
from firewall.lint.form import SOS, Form, Style
from firewall.lint.instant import BASE_NS, SECOND_NS
from firewall.lint.probe import Probe
from firewall.lint.witness_capture import capture_bytes

_TEXT = replace(SOS, flow="text", body=bodies.plain_text)
_MESSAGES = (
    _TEXT,
    replace(_TEXT, style=Style("anonymous caller", from_="<sip:anonymous@anonymous.invalid>")),
    replace(_TEXT, body=bodies.cap_alert),
    replace(_TEXT, request_uri="sip:alarms@{host}", to="<sip:alarms@{host}>", body=bodies.cap_alert),
    Form("chat", "sip:alice@{host}", "<sip:alice@{host}>", flow="text", body=bodies.plain_text),
)


def sent() -> tuple[Sent, ...]:
    pair = Pair(Endpoint("192.0.2.10"), Endpoint("198.51.100.10"))
    text = next(flow for flow in FLOWS if flow.name == "text message")
    return tuple(
        each
        for number, form in enumerate(_MESSAGES)
        for each in Probe(text, form, pair, BASE_NS + number * SECOND_NS, f"text{number}").sent()
    )


if __name__ == "__main__":
    Path(__file__).with_name("capture.pcap").write_bytes(capture_bytes(sent()))
