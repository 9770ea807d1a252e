import pytest

from firewall.lint.proof.load import DEFAULT_SURGE
from tests.lint.policies import codes, lint, only, rule

INVITES = 'sip.Method == "INVITE"'


def limited(rate: str, burst: int, per: str = "net.src", when: str = INVITES) -> str:
    return rule(when, "reject", more=f"limit: {{rate: {rate}, per: {per}, burst: {burst}}}\nstatus: 503")


def with_surge(calls_per_second: int, per_source: int) -> str:
    surge = f"surge: {{calls_per_second: {calls_per_second}, per_source: {per_source}}}"
    return f'emergency: {{numbers: ["911"], from: [carrier], to: [psap], {surge}}}\n'


def test_25_calls_per_second_from_one_trunk_pass_a_limit_of_30_in_2_seconds() -> None:
    """DESIGN section 5."""
    finding = only(lint(limited("30/2s", 30), emergency=with_surge(40, 25)))
    assert (finding.code, finding.rule) == ("SOS103", "guilty")
    assert any("25 calls per second" in text for text in finding.because)
    assert finding.witness is not None
    assert len(finding.witness.sent) > 30


def test_the_same_limit_is_harmless_with_not_emergency() -> None:
    assert lint(limited("30/2s", 30, when=f"{INVITES} and not emergency"), emergency=with_surge(40, 25)).findings == ()


def test_a_policy_without_surge_is_measured_by_the_documented_default() -> None:
    assert (DEFAULT_SURGE.calls_per_second, DEFAULT_SURGE.per_source) == (40, 25)
    assert codes(lint(limited("30/2s", 30))) == {("SOS103", "guilty")}
    assert lint(limited("100/1s", 100)).findings == ()


def test_a_limit_above_the_surge_that_the_policy_names_is_harmless() -> None:
    small = with_surge(4, 2)
    assert lint(limited("30/2s", 30), emergency=small).findings == ()


def test_a_limit_for_each_source_is_met_only_by_what_one_source_sends() -> None:
    of_callers = f'{INVITES} and zone.src == "carrier"'
    assert lint(limited("100/1s", 100, when=of_callers), emergency=with_surge(120, 20)).findings == ()
    assert codes(lint(limited("100/1s", 100, when=of_callers), emergency=with_surge(130, 120))) == {
        ("SOS103", "guilty")
    }


def test_what_one_address_answers_for_many_sources_is_told_by_numbers() -> None:
    """All that is shown would come from one source, which would exceed the limit with its own messages."""
    finding = only(lint(limited("600/1s", 600, when="sip")))
    assert (finding.code, finding.witness) == ("SOS103", None)
    assert any(
        "40 calls per second from many addresses, all to 198.51.100.10, 16 messages of each (640 per second)" in text
        for text in finding.because
    )
    assert any("met in: voice call with early media, UPDATE and hold" in text for text in finding.because)


def test_what_only_one_address_sends_for_many_sources_is_shown() -> None:
    hung_up = only(lint(limited("35/1s", 9, when='zone.src == "psap" and sip.Method == "BYE"')))
    assert hung_up.witness is not None
    new = 'zone.src == "psap" and sip.Method == "INVITE" and dialog.state == "none"'
    called_back = only(lint(limited("35/1s", 35, when=new)))
    assert any(
        "40 callbacks per second to many addresses, all from 198.51.100.10:" in text for text in called_back.because
    )
    one_trunk = only(lint(limited("20/1s", 20, per="net.dst", when=new)))
    assert any("25 callbacks per second to 192.0.2.10, one trunk address:" in text for text in one_trunk.because)


@pytest.mark.parametrize("key", ["[]", "zone.src", "net.dst"])
def test_a_limit_for_all_sources_together_is_met_by_the_load_of_all(key: str) -> None:
    assert codes(lint(limited("35/1s", 35, per=key), emergency=with_surge(40, 25))) == {("SOS103", "guilty")}


def test_a_limit_for_one_trunk_is_met_from_that_trunk() -> None:
    named = f"{INVITES} and net.src == 192.0.2.99"
    assert codes(lint(limited("5/1s", 5, when=named))) == {("SOS103", "guilty")}


def test_a_limit_that_one_single_call_meets_is_found_without_a_surge() -> None:
    finding = only(lint(limited("1/1m", 1)))
    assert finding.code == "SOS103"
    assert finding.witness is not None
    assert len(finding.witness.sent) < 30


def test_a_limit_that_no_emergency_call_meets_costs_no_question_of_its_own() -> None:
    def questions(limits: int) -> int:
        more = "".join(
            f"  - name: limit-{number}\n"
            f'    when: sip.Method == "INVITE" and sip.to.user == "{1000 + number}" and not emergency\n'
            f"    limit: {{rate: 5/1s, per: net.src}}\n    action: reject\n"
            for number in range(limits)
        )
        report = lint(more)
        assert report.findings == ()
        return report.extent.questions

    assert questions(60) - questions(20) < 40


def test_a_limit_in_shadow_mode_blocks_nothing() -> None:
    shadow = rule(INVITES, more="limit: {rate: 30/2s, per: net.src, burst: 30}\nmode: shadow")
    assert lint(shadow).result == "proved"


def test_the_flow_with_the_most_messages_fills_a_limit() -> None:
    """A short call sends three messages from the carrier, one with early media, UPDATE and hold nine."""
    assert codes(lint(limited("100/1s", 200, when='zone.src == "carrier"'))) == {("SOS103", "guilty")}
    assert lint(limited("300/1s", 300, when='zone.src == "carrier"')).findings == ()


def test_a_limit_on_keep_alives_is_met_by_keep_alives_not_by_as_many_as_there_are_calls() -> None:
    options = 'sip.Method == "OPTIONS" and not emergency'
    assert lint(limited("10/1s", 20, when=options)).findings == ()
    finding = only(lint(limited("1/10m", 1, when=options)))
    assert finding.code == "SOS107"
    assert finding.message.endswith("rejects the OPTIONS that keeps the trunk in service above 1/10m per net.src")
    assert any("keep-alives" in text for text in finding.because)


def test_a_call_that_others_cut_into_is_shown_with_them() -> None:
    """With a burst of 1 an INVITE finds the token gone that the ACK of an earlier call took at the same instant."""
    finding = only(lint(limited("1000/1s", 1, when='zone.src == "carrier"')))
    assert finding.witness is not None
    assert len(finding.witness.sent) > 50


@pytest.mark.parametrize(
    "when",
    ['sip.User-Agent contains "Cisco"', 'sip.from.user == "4455"', 'sip.Via.transport == "TCP"', "sip.Supported"],
)
def test_a_sender_writes_all_messages_of_a_call_alike(when: str) -> None:
    """25 calls a second of one trunk, each with INVITE, ACK and BYE at least."""
    finding = only(lint(limited("60/1s", 60, when=when), emergency=with_surge(40, 25)))
    assert (finding.code, finding.rule) == ("SOS103", "guilty")
    assert lint(limited("1000/1s", 1000, when=when), emergency=with_surge(40, 25)).findings == ()
    invites = f'{when} and sip.Method == "INVITE" and dialog.state == "none"'
    assert lint(limited("60/1s", 60, when=invites), emergency=with_surge(40, 25)).findings == ()


def test_what_only_a_session_description_says_is_not_in_messages_without_one() -> None:
    video = 'sdp.media.media == "video"'
    assert lint(limited("400/1s", 400, when=video), emergency=with_surge(40, 25)).findings == ()
