from pathlib import Path

from firewall.cli.policy_file import read_policy
from firewall.lint.finding import Finding
from firewall.lint.hygiene.overlap import check
from tests.lint.policies import EMERGENCY, policy, rule, text

FILED = "sets:\n  one: {file: blocked.txt}\n  two: {networks: [203.0.113.0/25]}\n"
HARMLESS = 'sip.Method == "REGISTER" and not emergency'


def zones(*written: str) -> list[str]:
    listed = "".join(f"  {each}\n" for each in written)
    tested = policy(zones=f"zones:\n{listed}", emergency="", after=rule(HARMLESS))
    return [each.message for each in check(tested) if each.code == "SOS222"]


def sets(networks: str, when: str, action: str = "drop", more: str = "") -> list[Finding]:
    written = f"sets:\n  one: {{networks: [{networks}]}}\n  two: {{networks: [203.0.113.128/25]}}\n"
    return check(policy(rule(when, action, more=more), extra=written))


def test_zones_with_addresses_and_an_interface_in_common_are_found() -> None:
    (message,) = zones("a: {networks: [192.0.2.0/24]}", "b: {networks: [198.51.100.0/24, 192.0.2.128/25]}")
    assert message == 'zones "a" and "b" overlap: 192.0.2.128/25 is of "a", listed first'
    assert zones("a: {interfaces: [f0]}", "b: {interfaces: [f1, f0]}")
    assert not zones("a: {interfaces: [f0], networks: [10.0.0.0/8]}", "b: {interfaces: [f1], networks: [10.0.0.0/8]}")
    assert not zones("a: {networks: [192.0.2.0/25]}", "b: {networks: [192.0.2.128/25]}", "everybody-else: {}")


def test_a_zone_that_takes_every_address_hides_those_behind_it() -> None:
    (message,) = zones("everybody: {}", "a: {interfaces: [f0], networks: [192.0.2.0/25]}")
    assert message == 'zones "everybody" and "a" overlap: everything is of "everybody", listed first'
    (message,) = zones("wire: {interfaces: [f0]}", "a: {interfaces: [f0], networks: [192.0.2.0/25]}")
    assert "interface f0" in message
    assert not zones("wire: {interfaces: [f0]}", "a: {networks: [192.0.2.0/25]}")
    assert not zones("a: {interfaces: [f0], networks: [192.0.2.0/25]}", "wire: {interfaces: [f0]}")


def test_lists_of_addresses_in_files_are_looked_at_too(tmp_path: Path) -> None:
    (tmp_path / "blocked.txt").write_text("203.0.113.7\n192.0.2.9   # once a scanner\n")
    written = text(rule("net.src in $one or net.src in $two", "reject"), extra=FILED)
    (tmp_path / "policy.yaml").write_text(written)
    found = check(read_policy(str(tmp_path / "policy.yaml")))
    assert [each.code for each in found] == ["SOS227", "SOS228"]


def test_lists_of_texts_with_one_in_common_are_found_where_they_are_for_one_field() -> None:
    extra = "sets:\n  one: {values: [a, b]}\n  two: {values: [b, c]}\n"
    agents = rule("sip.User-Agent in $one or sip.User-Agent in $two")
    (found,) = check(policy(agents, extra=extra))
    assert (found.code, found.message) == ("SOS228", 'sets "one" and "two" both hold "b"')
    assert not check(policy(rule("sip.from.user in $one or sip.User-Agent in $two"), extra=extra))


def test_a_set_that_blocks_addresses_of_an_emergency_zone_is_found() -> None:
    (found,) = sets("192.0.2.128/25, 10.0.0.0/8", "net.src in $one and not net.src in $two")
    assert (found.code, found.place.line) == ("SOS227", 7)
    assert '192.0.2.128/25 of zone "carrier"' in found.message
    assert not sets("192.0.2.128/25", "net.src in $one and net.src in $two", "allow")
    assert not sets("192.0.2.128/25", "not net.src in $one and net.src in $two")
    assert not sets("192.0.2.128/25", "net.dst in $one and net.src in $two")


def test_two_used_sets_with_addresses_in_common_are_found() -> None:
    assert [each.code for each in sets("203.0.113.0/24", "net.src in $one or net.src in $two")] == ["SOS228"]
    assert [each.code for each in sets("203.0.113.0/24", "net.src in $one")] == ["SOS206"]


def test_a_set_that_no_rule_uses_is_found_and_a_used_one_is_not() -> None:
    extra = "sets:\n  used: {values: [a]}\n  unused: {values: [b]}\n"
    (found,) = check(policy(rule("sip.User-Agent in $used and not emergency"), extra=extra, emergency=EMERGENCY))
    assert (found.code, found.message) == ("SOS206", 'no rule uses the set "unused"')


def test_each_pair_of_many_sets_is_told_once() -> None:
    extra = "sets:\n" + "".join(
        f"  s{n}: {{networks: [203.0.113.{n}, 203.0.113.{n + 1}, 198.51.100.{n}]}}\n" for n in range(0, 60, 1)
    )
    used = " or ".join(f"net.src in $s{n}" for n in range(60))
    found = [each for each in check(policy(rule(used, "allow"), extra=extra)) if each.code == "SOS228"]
    assert [each.message for each in found] == [
        f'sets "s{n}" and "s{n + 1}" both hold 203.0.113.{n + 1}' for n in range(59)
    ]
