from typing import get_args

import pytest

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.flow import FLOWS, Flow, selected
from firewall.lint.form import SOS, Form, forms
from firewall.lint.script import Role
from firewall.ruleset.policy import DEFAULT_FLOWS, EmergencyPolicy
from firewall.ruleset.policy import Flow as PolicyFlow
from firewall.sip.message import Request, Response, parse_message

PAIRS = (
    Pair(Endpoint("192.0.2.10"), Endpoint("198.51.100.10")),
    Pair(Endpoint("2001:db8:1::10"), Endpoint("2001:db8:2::10")),
)


def form_of(flow: Flow) -> Form:
    return next((form for form in forms(EmergencyPolicy()) if form.flow == flow.form_flow), SOS)


@pytest.mark.parametrize("pair", PAIRS, ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_every_response_answers_a_request_of_its_flow_and_every_message_is_in_order(flow: Flow, pair: Pair) -> None:
    """RFC 3261 §8.2.6, §12.2: Via, Call-ID, From and CSeq come back; both tags name the dialog."""
    asked: set[tuple[object, ...]] = set()
    instant = -1
    for step in flow.steps(pair, form_of(flow), "test"):
        message = parse_message(step.payload)
        assert message.anomalies == ()
        assert step.at_ms > instant
        instant = step.at_ms
        key = (
            step.sender,
            message.via_branch,
            message.call_id,
            message.from_tag,
            message.cseq_number,
            message.cseq_method,
        )
        if isinstance(message, Request):
            asked.add(key)
            assert step.label == message.method
        else:
            asker = "psap" if step.sender == "caller" else "caller"
            assert (asker, *key[1:]) in asked
            assert message.to_tag is not None or message.status_code == 100


def test_a_whole_voice_call_has_every_message_the_design_names() -> None:
    flow = next(flow for flow in FLOWS if "early media" in flow.name)
    labels = [step.label for step in flow.steps(PAIRS[0], SOS, "test")]
    assert [label for label in labels if not label.startswith("200")] == [
        "INVITE",
        "100 Trying (INVITE)",
        "183 Session Progress (INVITE)",
        "PRACK",
        *("UPDATE", "UPDATE", "INFO", "INFO"),
        "180 Ringing (INVITE)",
        "ACK",
        "INVITE",
        "ACK",
        "INVITE",
        "ACK",
        "INFO",
        "OPTIONS",
        "BYE",
    ]


def test_the_ack_and_the_cancel_name_the_transaction_rfc_3261_gives_them() -> None:
    """§9.1 and §17.1.1.3: a CANCEL and an ACK to a refusal share the INVITE's branch; an ACK to a 2xx has its own."""
    branches: dict[str, list[str | None]] = {}
    for name in ("call cancelled while ringing", "voice call"):
        flow = next(flow for flow in FLOWS if flow.name == name)
        for step in flow.steps(PAIRS[0], SOS, "test"):
            message = parse_message(step.payload)
            if isinstance(message, Request):
                branches.setdefault(f"{name} {message.method}", []).append(message.via_branch)
    invite = branches["call cancelled while ringing INVITE"]
    assert branches["call cancelled while ringing CANCEL"] == branches["call cancelled while ringing ACK"] == invite
    assert branches["voice call ACK"] != branches["voice call INVITE"]


def test_the_default_flows_of_a_policy_each_have_probes_but_for_media() -> None:
    wanted = {flow.policy_flow for flow in selected(DEFAULT_FLOWS)}
    assert wanted == set(DEFAULT_FLOWS) - {"media"}


def test_every_flow_a_policy_can_ask_for_has_probes_but_for_media() -> None:
    assert {flow.policy_flow for flow in FLOWS} == set(get_args(PolicyFlow)) - {"media"}


def test_keepalives_are_written_in_both_directions() -> None:
    senders = {flow.steps(PAIRS[0], SOS, "k")[0].sender for flow in FLOWS if flow.policy_flow == "keepalive"}
    assert senders == {"caller", "psap"}


def test_every_role_of_a_message_occurs() -> None:
    roles = {step.role for flow in FLOWS for step in flow.steps(PAIRS[0], form_of(flow), "r")}
    assert roles == set(get_args(Role))


def test_a_callback_without_a_mark_goes_to_the_caller_within_thirty_minutes() -> None:
    flow = next(flow for flow in FLOWS if flow.name == "callback without a mark")
    steps = flow.steps(PAIRS[0], SOS, "c")
    call, callback = steps[0], next(step for step in steps if step.role == "callback")
    request = parse_message(callback.payload)
    assert isinstance(request, Request)
    assert request.header("priority") is None
    assert request.request_uri == "sip:+16175550142@192.0.2.10"
    assert callback.at_ms - call.at_ms < 30 * 60 * 1000
    assert not any(isinstance(parse_message(step.payload), Response) for step in (call, callback))


def test_the_cancel_of_a_reinvite_has_its_ends_and_its_branch() -> None:
    """RFC 3261 §9.1: Call-ID, To, the number in CSeq, From and the topmost Via are those of what it cancels."""
    for name in ("call with texts and changes", "callback with texts and changes"):
        steps = next(flow for flow in FLOWS if flow.name == name).steps(PAIRS[0], SOS, "r")
        sent = [parse_message(step.payload) for step in steps]
        invites = {
            (each.via_branch, each.from_tag, each.to_tag, each.cseq_number) for each in sent if _is(each, "INVITE")
        }
        cancels = [each for each in sent if _is(each, "CANCEL")]
        assert len(cancels) == 2
        assert {(each.via_branch, each.from_tag, each.to_tag, each.cseq_number) for each in cancels} <= invites
        assert all(each.to_tag is not None for each in cancels)


def _is(message: Request | Response, method: str) -> bool:
    return isinstance(message, Request) and message.method == method
