"""The rules that media passes, by eye; tests/live/test_nftables.py has nft read them, test_media_path.py packets."""

import dataclasses

from firewall.live.flow_sets import CHAIN_OF, DROP_CHAIN
from firewall.live.media_chains import media_chains, media_sets
from firewall.live.nftables import render_ruleset
from firewall.ruleset.policy import MediaPolicy, Policy
from tests.live.test_nftables import ANYWHERE, CARRIER, PSAP, policy


def chains(rules: Policy) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for part in media_chains(rules).split("  chain ")[1:]:
        name, _, body = part.partition(" {\n")
        found[name] = [line.strip() for line in body.rpartition("  }")[0].splitlines()]
    return found


def with_media(rules: Policy, **changes: object) -> Policy:
    return dataclasses.replace(rules, media=dataclasses.replace(MediaPolicy(), **changes))  # type: ignore[arg-type]


def test_system_ports_and_the_ports_of_others_are_no_media() -> None:
    rules = chains(with_media(policy(CARRIER, PSAP), other_ports=frozenset({4500, 1812})))["media"]
    begins = rules.index("udp sport < 1024 accept")
    assert all(" @" in rule and " goto media_" in rule for rule in rules[:begins])  # flows that are negotiated
    assert rules[begins : begins + 4] == [
        "udp sport < 1024 accept",
        "udp dport < 1024 accept",
        "udp sport { 1812, 4500 } accept",
        "udp dport { 1812, 4500 } accept",
    ]


def test_every_chain_that_a_pinhole_may_lead_to_is_there_in_every_mode() -> None:
    for mode in ("enforce", "shadow", "off"):
        rules = with_media(policy(CARRIER), mode=mode)
        assert {*CHAIN_OF.values(), DROP_CHAIN} <= chains(rules).keys()
        assert ("    goto media\n" in render_ruleset(rules)) == (mode != "off")


def test_what_no_pinhole_fits_is_copied_counted_and_dropped_only_while_the_daemon_is_alive() -> None:
    *copies, alive, count, end = chains(policy(CARRIER, PSAP))["media_refused"]
    assert all('log prefix "refused"' in rule and "limit rate" in rule for rule in copies)
    assert alive == "meta nfproto != @daemon_alive goto daemon_down"
    assert (count, end) == ("counter name media_refused", "drop")
    assert chains(with_media(policy(CARRIER), mode="shadow"))["media_refused"][-1] == "accept"


def test_what_stays_in_its_zone_is_not_asked_about_and_the_first_zone_listed_counts() -> None:
    rules = chains(policy(CARRIER, PSAP, ANYWHERE))
    assert [rule.split()[-1] for rule in rules["media_from_psap"]] == ["accept", "media_toward_psap"]
    assert [rule.split()[-1] for rule in rules["media_from_anywhere"]] == [
        *["media_toward_anywhere"] * 3,  # the zones listed before in which it may be, too, one of them of two families
        "accept",
        "media_toward_anywhere",
    ]
    assert all(rule.startswith('fib daddr oifname { "f0" }') for rule in rules["media_from_anywhere"][:2])


def test_what_comes_from_no_zone_is_asked_about_only_on_its_way_into_one() -> None:
    rules = chains(policy(CARRIER, PSAP))
    assert rules["media"][-1] == "goto media_from"
    assert rules["media_from"][-1] == "accept"
    assert all(rule.endswith("goto media_toward") for rule in rules["media_from"][:-1])


def test_a_policy_without_zones_asks_about_all_media() -> None:
    assert chains(policy())["media"][-1] == "goto media_toward"


def test_each_zone_has_sets_of_its_own() -> None:
    declared = media_sets(policy(CARRIER, ANYWHERE))
    for name in ("media4_from_carrier", "media6_from_anywhere", "media4_port", "media6_from"):
        assert f"map {name} {{" in declared
        assert all(f"set {chain}_{name} {{" in declared for chain in ("first", "sample", "all", "dropped"))
