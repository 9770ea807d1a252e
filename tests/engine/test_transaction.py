"""Transactions: RFC 3261 §17, RFC 6026."""

from firewall.engine.transaction import (
    INVITE_TRANSITIONS,
    NON_INVITE_TRANSITIONS,
    Transaction,
    own_transaction_id,
)
from firewall.sip.message import Request, parse_message
from tests.messages import request, response


def walk(method: str, *messages: bytes) -> list[str]:
    transaction = Transaction(method)
    states = []
    for raw in messages:
        transaction.note(parse_message(raw))
        states.append(transaction.state)
    return states


def test_an_invite_that_is_answered_is_accepted() -> None:
    invite = request()
    answers = [response(invite, status) for status in (100, 183, 200, 200)]
    assert walk("INVITE", *answers) == ["proceeding", "proceeding", "accepted", "accepted"]


def test_an_invite_that_is_refused_is_completed_and_confirmed_by_its_ack() -> None:
    invite = request()
    assert walk("INVITE", response(invite, 486), request("ACK")) == ["completed", "confirmed"]


def test_any_other_request_is_completed_by_its_final_response() -> None:
    bye = request("BYE")
    assert walk("BYE", response(bye, 100), response(bye, 481), response(bye, 200)) == [
        "proceeding", "completed", "completed",
    ]  # fmt: skip


def test_nothing_leaves_a_final_state_but_by_an_ack() -> None:
    for table in (INVITE_TRANSITIONS, NON_INVITE_TRANSITIONS):
        leaving = {state for (state, trigger) in table if trigger != "ack"}
        assert leaving == {"trying", "proceeding"}


def test_a_cancel_begins_a_transaction_of_its_own_and_an_ack_none() -> None:
    invite, cancel, ack = (parse_message(request(m, branch="z9hG4bK-x")) for m in ("INVITE", "CANCEL", "ACK"))
    assert isinstance(invite, Request)
    assert isinstance(cancel, Request)
    assert isinstance(ack, Request)
    assert own_transaction_id(invite) == (1, "INVITE", "z9hG4bK-x")
    assert own_transaction_id(cancel) == (1, "CANCEL", "z9hG4bK-x")
    assert own_transaction_id(ack) is None


def test_a_request_without_cseq_begins_no_transaction() -> None:
    for method in ("INVITE", "CANCEL"):
        message = parse_message(f"{method} sip:a SIP/2.0\r\n\r\n".encode())
        assert isinstance(message, Request)
        assert own_transaction_id(message) is None
