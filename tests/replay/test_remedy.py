"""What to change, for each kind of decision that hurt a call."""

import pytest

from firewall.errors import Place
from firewall.replay.remedy import remedy

WHERE = Place("p.yaml", 7)


@pytest.mark.parametrize(
    ("rule", "reason", "words"),
    [
        ("no-ack", "rule", 'add "and not emergency" to the condition of rule "no-ack" at p.yaml:7'),
        ("scan", "banned", 'remove "ban" from rule "scan" at p.yaml:7'),
        (None, "default", "add a rule that allows it"),
        (None, "too_many_headers", 'set "malformed: allow" under "exceptions"'),
        (None, "media_wrong_source", "change media.source"),
        (None, "connection_limit", "see: sosgate explain connection_limit"),
    ],
)
def test_each_kind_of_decision_has_what_to_change_and_the_check(rule: str | None, reason: str, words: str) -> None:
    told = remedy(rule, reason, WHERE, "192.0.2.10")
    assert told.startswith(words)
    assert told.endswith("then run sosgate lint p.yaml")


def test_a_ban_is_not_mended_by_an_exemption_of_emergency_calls() -> None:
    told = remedy("scan", "banned", WHERE, "192.0.2.10")
    assert "not emergency" not in told
    assert '(add "and not net.src == 192.0.2.10")' in told
