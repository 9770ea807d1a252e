"""The rendered table: read by nft itself, and by eye for what each zone's choice becomes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from firewall.errors import MachineError, Place
from firewall.live.nftables import TABLE, apply_ruleset, render_last_ruleset, render_ruleset, zone_interfaces
from firewall.net.address import Network
from firewall.net.signalling import MESSAGE_PREFIXES
from firewall.ruleset.policy import EmergencyPolicy, ExceptionPolicies, Policy, Zone

PLACE = Place("p.yaml", 3, 3)


def zone(name: str, interfaces: tuple[str, ...], networks: tuple[str, ...], down: str) -> Zone:
    assert down in ("bypass", "block")
    return Zone(
        name=name,
        interfaces=interfaces,
        networks=tuple(Network.parse(text) for text in networks),
        on_daemon_down="block" if down == "block" else "bypass",
        place=PLACE,
    )


def policy(*zones: Zone, ports: frozenset[int] = frozenset({5060})) -> Policy:
    return Policy(
        name="p",
        file="p.yaml",
        sha256="0" * 64,
        zones=zones,
        sets=(),
        emergency=EmergencyPolicy(),
        exceptions=ExceptionPolicies(),
        rules=(),
        default="drop",
        default_place=PLACE,
        signalling_ports=ports,
    )


CARRIER = zone("carrier", ("f0",), ("192.0.2.0/24", "192.0.2.128/25", "2001:db8:1::/64"), "bypass")
PSAP = zone("psap", ("f1",), ("198.51.100.10",), "block")
ANYWHERE = zone("anywhere", (), (), "block")


def daemon_down_rules(script: str) -> list[str]:
    return [
        line.strip()
        for line in script.partition("chain daemon_down {")[2].partition("}\n}")[0].splitlines()
        if line.strip()
    ]


@pytest.mark.netns
@pytest.mark.parametrize(
    "zones",
    [(), (CARRIER,), (CARRIER, PSAP), (PSAP, ANYWHERE), (ANYWHERE,), (zone('od"d ☎' * 40, ("f0",), (), "block"),)],
)
def test_nft_takes_every_rendered_table_again_and_again(zones: tuple[Zone, ...]) -> None:
    for script in (render_ruleset(policy(*zones, ports=frozenset({5060, 5062}))), render_last_ruleset()):
        twice = ["unshare", "-n", sys.executable, "-c", _APPLY_TWICE, script]
        done = subprocess.run(twice, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(f"table inet {TABLE} {{") == 1


_APPLY_TWICE = """
import subprocess, sys
for _ in range(2):
    subprocess.run(["nft", "-f", "-"], input=sys.argv[1], text=True, check=True)
subprocess.run(["nft", "list", "ruleset"], check=True)
"""


def test_each_zone_becomes_its_choice_and_merged_networks() -> None:
    rules = daemon_down_rules(render_ruleset(policy(CARRIER, PSAP)))
    assert rules == [
        'iifname { "f0" } ip saddr { 192.0.2.0-192.0.2.255 } counter accept comment "zone carrier"',
        'iifname { "f0" } ip6 saddr { 2001:db8:1::-2001:db8:1:0:ffff:ffff:ffff:ffff } '
        'counter accept comment "zone carrier"',
        'iifname { "f1" } ip saddr { 198.51.100.10 } counter drop comment "zone psap"',
        'iifname { "f1" } counter drop comment "in no zone"',
        'counter accept comment "in no zone"',
    ]


def test_what_is_in_no_zone_is_dropped_where_every_zone_blocks() -> None:
    carrier_too = zone("trunk", ("f1",), ("192.0.2.0/24",), "bypass")
    assert 'counter drop comment "in no zone"' in daemon_down_rules(render_ruleset(policy(PSAP)))
    assert daemon_down_rules(render_ruleset(policy(PSAP, carrier_too)))[-1] == 'counter accept comment "in no zone"'
    assert not any(
        "drop" in rule and "no zone" in rule for rule in daemon_down_rules(render_ruleset(policy(PSAP, carrier_too)))
    )


def test_a_zone_without_interfaces_means_every_interface_but_loopback() -> None:
    assert zone_interfaces(policy(CARRIER, ANYWHERE)) is None
    assert 'iifname "lo" accept' in render_ruleset(policy(CARRIER, ANYWHERE))
    assert zone_interfaces(policy(PSAP, CARRIER)) == ("f0", "f1")
    assert zone_interfaces(policy()) is None


def test_ten_times_as_many_zones_of_their_own_addresses_are_ten_times_as_many_rules() -> None:
    some, more = (
        render_ruleset(policy(*(zone(f"z{n}", (f"f{n}",), (f"10.{n}.0.0/16",), "bypass") for n in range(count))))
        for count in (10, 100)
    )
    assert more.count("\n") < 10 * some.count("\n")


def test_the_kernel_knows_sip_by_the_same_prefixes_as_replay() -> None:
    script = render_ruleset(policy(CARRIER))
    for prefix in MESSAGE_PREFIXES:
        assert script.count(f"0x{prefix.hex()}") == 1


def test_of_tcp_only_what_goes_toward_signalling_ports_is_intercepted_and_judged_when_the_daemon_is_down() -> None:
    script = render_ruleset(policy(CARRIER, ports=frozenset({5060, 5070})))
    chains = {
        name: body.partition("\n  }")[0]
        for name, _, body in (part.partition(" {") for part in script.split("  chain ")[1:])
    }
    assert "!= syn socket transparent 1" in chains["streams"].splitlines()[1]
    before, _, after = chains["streams"].partition("tcp dport != @signalling_ports goto other_streams")
    assert "tproxy" not in before
    assert "tproxy" in after
    assert chains["streams"].splitlines()[-1].strip() == "goto daemon_down"
    assert "tcp sport @signalling_ports" not in script


def test_the_ruleset_of_a_clean_stop_intercepts_nothing_new() -> None:
    script = render_last_ruleset()
    assert "tproxy" not in script
    assert "drop" not in script
    assert "socket transparent 1" in script


def test_an_nft_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nft = tmp_path / "nft"
    nft.write_text("#!/bin/sh\nexec sleep 100\n")
    nft.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr("firewall.live.nftables._NFT_TIMEOUT_S", 0.2)
    with pytest.raises(MachineError, match=f"{nft}: it has not ended within 0.2 s"):
        apply_ruleset(render_last_ruleset())
