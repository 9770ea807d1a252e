"""Messages with one fault each: every fault that a datagram can have has one."""

from firewall.engine.reasons import REASONS
from firewall.errors import SipSyntaxError
from firewall.lint.oddity import odd_messages, unreadable_messages
from firewall.sip.message import parse_message

NOT_IN_A_DATAGRAM = {"content_length_missing", "message_too_large"}


def reason_of(data: bytes) -> str | None:
    try:
        parse_message(data)
    except SipSyntaxError as error:
        return error.reason
    return None


def test_each_message_has_the_anomaly_it_is_there_for_and_no_other() -> None:
    for code, data in odd_messages():
        assert parse_message(data).anomalies == (code,), code


def test_what_is_no_message_is_none_for_the_reason_told() -> None:
    for code, data in unreadable_messages():
        assert reason_of(data) == code


def test_every_code_is_there() -> None:
    codes = {code for code, reason in REASONS.items() if reason.kind in ("anomaly", "malformed")}
    assert {code for code, _ in (*odd_messages(), *unreadable_messages())} == codes - NOT_IN_A_DATAGRAM
