from firewall.lint.form import BROKEN_STYLES
from firewall.lint.proof.lasting import lasting_forms
from tests.lint.policies import policy, rule


def test_no_form_lasts_where_no_rule_could_tell() -> None:
    assert lasting_forms(policy(rule('sip.User-Agent contains "scan"'))) == ()


def test_a_service_that_a_rule_names_is_asked_for_in_calls_and_in_texts() -> None:
    forms = lasting_forms(policy(rule('emergency.service == "urn:service:sos.fire"')))
    flows = {form.flow for form in forms if form.request_uri == "urn:service:sos.fire"}
    assert flows == {"voice", "rtt", "text"}


def test_who_writes_in_a_broken_way_writes_every_message_so() -> None:
    forms = lasting_forms(policy(rule("sip.anomaly")))
    for flow in ("voice", "rtt", "text", "registration"):
        assert [form.style for form in forms if form.flow == flow] == list(BROKEN_STYLES)
