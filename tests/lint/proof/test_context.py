from firewall.engine.engine import Engine
from firewall.lint.flow import FLOWS, selected
from firewall.lint.form import Form
from firewall.lint.instant import BASE_NS
from firewall.lint.language.jury import holds_of_message
from firewall.lint.probe import Probe
from firewall.lint.proof.context import CALLER, Context, contexts, plain_pair, zone_pairs
from firewall.lint.proof.prove import calling_pairs
from firewall.lint.proof.target import SERVICE_URNS, service_field
from firewall.ruleset.facts import Facts
from firewall.sip.message import Message, Request
from tests.lint.forms import every_form
from tests.lint.policies import EMERGENCY, ZONES, policy


def of(**options: str) -> tuple[Context, ...]:
    tested = policy(**options)
    (pair,) = calling_pairs(tested)
    return contexts(tested, selected(tested.emergency.flows), pair)


def test_every_message_of_every_flow_has_a_context_in_the_state_the_earlier_ones_lead_to() -> None:
    states = {(each.step.label, each.facts.dialog_state) for each in of() if each.flow is FLOWS[0]}
    assert {("INVITE", "none"), ("200 OK (INVITE)", "early"), ("ACK", "confirmed"), ("BYE", "confirmed")} <= states


def test_what_belongs_to_something_allowed_passes_without_a_rule_and_what_begins_does_not() -> None:
    follows = {(each.step.label, each.follows) for each in of() if each.step.role in ("initial", "mid_call")}
    assert ("INVITE", False) in follows
    assert ("BYE", True) in follows
    assert ("180 Ringing (INVITE)", True) in follows


def test_a_target_may_be_any_of_its_kind_and_what_no_grammar_has_stays_as_it_is() -> None:
    firsts = {each.form.name: each for each in of() if each.step.role == "initial"}
    assert firsts["urn:service:sos"].language[0] == SERVICE_URNS
    assert firsts["tel:911"].held == frozenset()
    assert firsts["INVITE 911 SIP/2.0"].held == frozenset()
    assert firsts["INVITE <urn:service:sos> SIP/2.0"].held == {"r-uri"}
    assert firsts["Resource-Priority: esnet.0"].held == frozenset()


def test_every_way_to_write_an_emergency_call_is_in_a_context_of_the_proof() -> None:
    """What one fixes is so of the message, and what it leaves open is any text's: no rule tells them apart."""
    tested = policy(emergency=EMERGENCY.replace("}", ", flows: [voice, rtt, text, registration]}"))
    (pair,) = calling_pairs(tested)
    asked = [each for each in contexts(tested, FLOWS, pair) if each.index == 0 and each.flow.form_flow is not None]
    for form in every_form(tested.emergency):
        flow = next(each for each in FLOWS if each.form_flow == form.flow)
        (first, *_) = Probe(flow, form, pair, BASE_NS).sent()
        facts = Engine(tested).facts(first.datagram, first.at_ns)
        assert any(_covers(each, form, facts) for each in asked if each.form.flow == form.flow), form.name


def _covers(context: Context, form: Form, facts: Facts) -> bool:
    ours, own, message = context.facts.emergency, facts.emergency, facts.message
    known = context.facts.message
    assert ours is not None and own is not None and message is not None and known is not None  # noqa: PT018
    is_named = bool(context.language) and service_field(context.language[0]) is not None
    return (
        (ours.emergency_class, form.is_test) == (own.emergency_class, context.form.is_test)
        and (is_named or ours.service == own.service)
        and known.anomalies == message.anomalies
        and bool(known.body) == bool(message.body)
        and all(_text_of(name, known) == _text_of(name, message) for name in context.held)
        and all(holds_of_message(each.condition, facts) == each.holds for each in context.language)
    )


def _text_of(carrier: str, message: Message) -> object:
    if carrier == "r-uri":
        return message.request_uri if isinstance(message, Request) else None
    return message.body if carrier == "body" else message.header(carrier)


def test_an_unmarked_callback_calls_whatever_a_caller_may_name_himself() -> None:
    unmarked = [
        each
        for each in of()
        if each.flow.name == "callback without a mark" and (each.step.role, each.step.label) == ("callback", "INVITE")
    ]
    assert unmarked
    assert all(each.language == CALLER for each in unmarked)


def test_a_keep_alive_is_always_written_in_one_way() -> None:
    assert {each.is_fixed for each in of() if each.step.role == "keepalive"} == {True}


def test_zones_do_not_call_themselves_unless_there_is_no_other() -> None:
    both = policy(emergency="emergency: {from: [carrier, psap], to: [carrier, psap]}\n")
    named = [(a.name if a else "", b.name if b else "") for a, b in zone_pairs(both)]
    assert named == [("carrier", "psap"), ("psap", "carrier")]
    alone = policy(emergency="emergency: {from: [carrier], to: [carrier]}\n")
    assert len(zone_pairs(alone)) == 1


def test_networks_without_a_common_family_have_no_pair() -> None:
    zones = 'zones:\n  carrier: {networks: [192.0.2.0/24]}\n  psap: {networks: ["2001:db8:2::/64"]}\n'
    tested = policy(zones=zones)
    assert plain_pair(tested, *zone_pairs(tested)[0]) is None


def test_a_zone_without_networks_gets_documentation_addresses() -> None:
    zones = "zones:\n  carrier: {interfaces: [f0]}\n  psap: {interfaces: [f1]}\n"
    (pair,) = calling_pairs(policy(zones=zones))
    assert (pair.caller.ip, pair.psap.ip) == ("192.0.2.10", "198.51.100.20")
    assert (pair.caller.interface, pair.psap.interface) == ("f0", "f1")


def test_ipv4_is_the_plainer_family() -> None:
    (pair,) = calling_pairs(policy(zones=ZONES))
    assert ":" not in pair.caller.ip
