"""Which interfaces of zones are missing is told once, and once more when they are there."""

import pytest

from firewall.live import routing
from firewall.live.missing_interfaces import MissingInterfaces
from firewall.ruleset.policy import Policy
from tests.live.test_nftables import policy, zone


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """The interfaces that are there: each with the one whose port it is, or None."""
    found: dict[str, str | None] = {"f0": None}
    monkeypatch.setattr(routing, "interface_names", lambda: dict(enumerate(found)))
    monkeypatch.setattr(routing, "ports", lambda: {name: master for name, master in found.items() if master})
    monkeypatch.setattr(routing, "name_of_alternative", {"enp9s0": "f0"}.get)
    return found


def wanting(*interfaces: str) -> Policy:
    return policy(zone("a", interfaces, (), "bypass"))


def test_what_is_missing_is_told_once_and_why(there: dict[str, str | None]) -> None:
    said: list[str] = []
    missing, rules = MissingInterfaces(said.append), wanting("f0", "f1", "enp9s0")
    for _ in range(2):
        missing.look(rules)
    assert [sentence.partition(":")[2] for sentence in said] == [
        ' "enp9s0" is another name of the interface "f0": its traffic passes unseen until a zone has that',
        ' there is no interface "f1" here; its traffic is looked at once there is',
    ]
    there |= {"f1": None, "br0": None}
    missing.look(rules)
    assert said[2:] == ['there is an interface "f1" now; its traffic is looked at']
    there["f1"] = "br0"
    missing.look(rules)
    assert 'the interface "f1" is a port of "br0"' in said[3]
    missing.look(wanting("f0", "br0", "enp9s0"))
    assert len(said) == 4, "no zone wants it any more"
