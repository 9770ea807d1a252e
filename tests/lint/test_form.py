import shutil
import subprocess
from pathlib import Path

from firewall.lint import bodies
from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.flow import FLOWS
from firewall.lint.form import BROKEN_STYLES, Form, base_forms
from firewall.lint.instant import BASE_NS
from firewall.lint.language.carrier import places
from firewall.lint.language.settle import Literal, satisfiable
from firewall.lint.probe import Probe
from firewall.lint.witness_capture import capture_bytes
from firewall.net.datagram import Datagram
from firewall.ruleset.emergency import recognise
from firewall.ruleset.expression import Comparison, Field
from firewall.ruleset.facts import Facts
from firewall.ruleset.fields import FIELDS
from firewall.ruleset.policy import EmergencyPolicy
from firewall.sip.message import Request, parse_message
from tests.lint.forms import STYLES, every_form

DEFINITION = EmergencyPolicy(
    numbers=("911", "112", "999"), test_numbers=("933",), dial_prefixes=("9", "1", "+1", "0"), from_zones=("carrier",)
)
PAIR = Pair(Endpoint("192.0.2.10"), Endpoint("198.51.100.10"))
SHORTEST = {flow.form_flow: flow for flow in reversed(FLOWS)}


def first_message(form: Form) -> bytes:
    return SHORTEST[form.flow].steps(PAIR, form, "test")[0].payload


def test_every_form_is_an_emergency_that_can_be_read_and_only_the_broken_ones_have_an_anomaly() -> None:
    """By the definition that the engine uses."""
    assert len(every_form(DEFINITION)) > 300
    for form in every_form(DEFINITION):
        message = parse_message(first_message(form))
        assert isinstance(message, Request), form.name
        mark = recognise(message, DEFINITION)
        assert mark is not None, form.name
        assert (mark.emergency_class == "test") == form.is_test, form.name
        is_broken = "r-uri" in form.odd_targets or ":" not in form.request_uri  # 911 alone is no URI
        is_open = form.body is bodies.location_without_end
        assert bool(message.anomalies) == (form.style in BROKEN_STYLES or is_broken or is_open), form.name


_READ = (
    *("sip.Request-Line", "sip.r-uri", "sip.From", "sip.To", "sip.Contact", "sip.Route", "sip.Record-Route", "sip.Via"),
    *("sip.CSeq", "sip.Call-ID", "sip.Expires", "sip.Date", "sip.Subject", "sip.Supported", "sip.Content-Type"),
    *("sip.Call-Info", "sip.P-Asserted-Identity", "sip.Identity", "sip.Geolocation", "sip.User-Agent", "sip.Priority"),
)


def test_what_no_grammar_has_stands_in_the_carriers_that_the_form_names() -> None:
    """The theory of texts would say of it that no message has it, and lint that no rule about it blocks a call."""
    known: dict[tuple[str, object], bool] = {}
    for form in every_form(DEFINITION):
        message = parse_message(first_message(form))
        facts = Facts(Datagram("192.0.2.10", 5060, "198.51.100.10", 5060, message.raw), message=message)
        for name in _READ:
            field = Field(name)
            for value in FIELDS[name].read(facts):
                if (name, value) not in known:
                    said = Literal(Comparison(field, "==", value), True)  # type: ignore[arg-type]
                    known[name, value] = satisfiable([said]) is True
                is_odd = {place.carrier.name for place in places(field)} <= form.odd_carriers
                assert known[name, value] or is_odd, (form.name, name, value)


def test_the_forms_cover_every_way_the_design_names() -> None:
    start_lines = {first_message(form).splitlines()[0].decode() for form in every_form(DEFINITION)}
    host = "198.51.100.10"
    expected = {
        "INVITE urn:service:sos SIP/2.0",
        "INVITE URN:SERVICE:SOS SIP/2.0",
        "INVITE urn:service:sos.police SIP/2.0",
        "INVITE urn:nena:service:sos.psap SIP/2.0",
        "INVITE urn:service:test.sos SIP/2.0",
        "INVITE urn:service:test:sos SIP/2.0",
        f"INVITE sip:911@{host} SIP/2.0",
        f"INVITE sip:911@{host};user=phone SIP/2.0",
        f"INVITE sips:112@{host} SIP/2.0",
        f"INVITE sip:9911@{host} SIP/2.0",
        f"INVITE sip:+1911@{host} SIP/2.0",
        f"INVITE sip:9-1-1@{host} SIP/2.0",
        f"INVITE sip:%39%31%31@{host} SIP/2.0",
        f"INVITE sip:933@{host} SIP/2.0",
        "INVITE tel:911 SIP/2.0",
        "INVITE tel:911;phone-context=+1 SIP/2.0",
        "INVITE 911 SIP/2.0",
        "INVITE urn:service:911 SIP/2.0",
        "MESSAGE urn:service:sos SIP/2.0",
        "REGISTER sip:ims.caller.example SIP/2.0",
    }
    assert expected <= start_lines


def test_the_largest_forms_have_the_sizes_of_real_ones() -> None:
    sizes = {form.name: len(first_message(form)) for form in every_form(DEFINITION)}
    assert 10_000 < sizes["urn:service:sos, 10 KB of nested multipart"] < 12_000
    assert 55_000 < sizes["urn:service:sos, 60 KB with a picture"] < 65_507


def test_every_make_of_phone_dials_the_number_and_asks_for_the_service() -> None:
    every = every_form(DEFINITION)
    for base in base_forms(DEFINITION):
        assert len([form for form in every if form.name.startswith(f"{base.name}, ")]) >= len(STYLES)


def test_tshark_reads_every_form_as_the_request_it_is(tmp_path: Path) -> None:
    tshark = shutil.which("tshark")
    assert tshark is not None
    every = every_form(DEFINITION)
    sent = [
        Probe(SHORTEST[form.flow], form, PAIR, BASE_NS + number, f"f{number}").sent()[0]
        for number, form in enumerate(every)
    ]
    capture = tmp_path / "forms.pcap"
    capture.write_bytes(capture_bytes(tuple(sent)))
    command = [tshark, "-r", str(capture), "-T", "fields", "-e", "sip.Method"]
    seen = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")[:-1]
    # Wireshark takes a request whose URI has no scheme for no SIP at all; a border of an ESInet must not.
    expected = [each.label if ":" in form.request_uri else "" for form, each in zip(every, sent, strict=True)]
    assert seen == expected
