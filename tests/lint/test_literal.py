from firewall.lint.form import SOS
from firewall.lint.literal import forms_of, literals
from firewall.net.address import Network
from tests.lint.policies import policy, rule


def test_texts_are_collected_by_the_field_they_are_compared_with() -> None:
    found = literals(policy(rule('sip.User-Agent contains "abc" or not sip.from.user in {"x", "y"}')))
    assert found.texts["sip.User-Agent"] == ("abc",)
    assert found.texts["sip.from.user"] == ("x", "y")


def test_networks_of_rules_and_of_sets_are_collected() -> None:
    found = literals(policy(rule("net.src in {192.0.2.64/26}"), extra="sets:\n  bad: {networks: [203.0.113.0/24]}\n"))
    assert set(found.networks) == {Network.parse("192.0.2.64/26"), Network.parse("203.0.113.0/24")}


def test_each_text_becomes_an_emergency_call_that_carries_it() -> None:
    tested = policy(
        rule('sip.User-Agent == "bad tool" or sip.from.host == "evil.example" or sip.header["X-Mark"] contains "7"')
    )
    forms = {form.name: form.style for form in forms_of(literals(tested), SOS)}
    assert forms['urn:service:sos, sip.User-Agent "bad tool"'].user_agent == "bad tool"
    assert forms['urn:service:sos, sip.from.host "evil.example"'].from_.endswith("@evil.example>")
    assert forms['urn:service:sos, x-mark "7"'].headers == (("x-mark", "7"),)
