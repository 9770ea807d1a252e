"""Which interfaces of zones are missing is told once, and again when they are there, and which are not forwarded."""

from pathlib import Path

import pytest

from firewall.live import links, routing, zone_links
from firewall.live.zone_links import ZoneLinks
from firewall.ruleset.policy import Policy
from tests.live.test_nftables import policy, zone


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str | None]:
    """The interfaces that are there: each with the one whose port it is, or None."""
    found: dict[str, str | None] = {"f0": None}
    monkeypatch.setattr(links, "SETTINGS", tmp_path)
    monkeypatch.setattr(links, "interface_names", lambda: dict(enumerate(found)))
    monkeypatch.setattr(links, "ports", lambda: {name: master for name, master in found.items() if master})
    monkeypatch.setattr(routing, "is_switched_off", lambda _: False)
    monkeypatch.setattr(zone_links, "can_send_from", lambda _: True)
    monkeypatch.setattr(links, "name_of_alternative", {"enp9s0": "f0"}.get)
    return found


def wanting(*interfaces: str) -> Policy:
    return policy(zone("a", interfaces, (), "bypass"))


def test_what_is_missing_is_told_once_and_why(there: dict[str, str | None]) -> None:
    said: list[str] = []
    missing, rules = ZoneLinks(said.append), wanting("f0", "f1", "enp9s0")
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


def test_a_machine_that_does_not_forward_is_told_once_and_again_when_it_ceases_to(
    there: dict[str, str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    there["f1"] = None
    links, dual_stack = (
        ZoneLinks(said.append),
        policy(zone("a", ("f0", "f1"), ("192.0.2.0/24", "2001:db8::/32"), "bypass")),
    )
    four, six = tmp_path / "ipv4/conf/f0/forwarding", tmp_path / "ipv6/conf/all/forwarding"
    for setting in (four, six):
        setting.parent.mkdir(parents=True)
        setting.write_text("0\n")
    for _ in range(2):
        links.look(dual_stack)
    assert said == [
        f"warning: {setting} is 0: signalling goes on, but calls have no media until it is 1" for setting in (four, six)
    ]
    four.write_text("1\n")
    links.look(dual_stack)
    four.write_text("0\n")
    links.look(dual_stack)
    assert len(said) == 3
    four.write_text("1\n")
    for name in ("f0", "f1"):
        forced = tmp_path / f"ipv6/conf/{name}/force_forwarding"
        forced.parent.mkdir(parents=True)
        forced.write_text("1\n")
    ZoneLinks(said.append).look(dual_stack)
    assert len(said) == 3, "these interfaces forward IPv6 by themselves"
    forced.write_text("0\n")
    monkeypatch.setattr(routing, "is_switched_off", lambda _: True)
    ZoneLinks(said.append).look(dual_stack)
    assert len(said) == 3, "there is no IPv6"
    four.write_text("0\n")
    ZoneLinks(said.append).look(policy(zone("a", ("f1",), ("192.0.2.0/24",), "bypass")))
    assert len(said) == 3, "nothing of that zone is IPv6, or comes in by f0"


def test_a_bridge_whose_packets_the_kernel_does_not_hand_over_is_told(
    there: dict[str, str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    there["br0"] = None
    monkeypatch.setattr(links, "bridges", lambda: {"br0", "br1"})
    setting = tmp_path / "bridge/bridge-nf-call-iptables"
    setting.parent.mkdir()
    for value in ("0\n", "1\n"):
        setting.write_text(value)
        ZoneLinks(said.append).look(wanting("f0", "br0"))
    assert said == [f'warning: {setting} is 1: messages that come in by the bridge "br0" are lost until it is 0']
