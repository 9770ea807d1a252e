"""Lint asks whether an answered emergency call is heard."""

import pytest

from firewall.lint import media
from firewall.lint.finding import Finding
from tests.lint.policies import EMERGENCY, policy


def found(rules: str = "", **more: str) -> list[Finding]:
    return media.check(policy(rules, **more))  # type: ignore[arg-type]


def codes(findings: list[Finding]) -> list[tuple[str, str | None]]:
    return [(finding.code, finding.rule) for finding in findings]


def test_a_policy_that_says_nothing_of_media_lets_it_be_heard() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("rtp and not rtp.p_type in {0, 8, 96, 98, 100, 101}", "comfort noise (payload type 13)"),
        ("rtp.p_type == 101", "DTMF digits"),
        ('media.kind == "text"', "real-time text"),
        ('media.kind == "audio" and zone.src == "psap"', "from psap to carrier"),
        ('media.codec == "amr-wb"', "AMR-WB"),
        ("rtp and ipv6", "PCMU"),
    ],
)
def test_a_rule_that_drops_media_is_named_with_what_it_drops(condition: str, words: str) -> None:
    (finding,) = found(f"  - {{name: wrong, when: '{condition}', action: drop}}\n")
    assert (finding.code, finding.rule) == ("SOS116", "wrong")
    assert words in finding.message
    assert "nobody is heard" in finding.because[0]


@pytest.mark.parametrize(
    "condition",
    [
        'media.kind == "audio" and frame.len < 54',
        "rtp and frame.len > 1600",
        "rtp.p_type in {72..76}",
        'media.kind == "audio" and udp.srcport < 1024',
        'media.kind == "audio" and not net.src == 192.0.2.0/24 and not net.src == 198.51.100.0/24 and ip',
    ],
)
def test_a_rule_that_no_rtp_of_a_call_can_match_is_no_finding(condition: str) -> None:
    """Nothing is as short as this, has a type that would be RTCP's (RFC 5761 §4), or comes from a system port."""
    assert found(f"  - {{name: odd, when: '{condition}', action: drop}}\n") == []


def test_a_limit_on_media_is_never_said_to_be_harmless() -> None:
    limited = "  - {name: few, when: rtp, action: drop, limit: {rate: 30/2s, per: net.src, burst: 30}}\n"
    (finding,) = found(limited)
    assert (finding.code, finding.rule) == ("SOS115", "few")


def test_and_not_emergency_mends_it() -> None:
    assert found("  - {name: right, when: 'rtp.p_type == 101 and not emergency', action: drop}\n") == []


def test_the_guard_is_no_excuse() -> None:
    guarded = EMERGENCY.replace("to: [psap]", "to: [psap], guard: enforce")
    assert codes(found("  - {name: wrong, when: rtp.p_type == 101, action: drop}\n", emergency=guarded)) == [
        ("SOS116", "wrong")
    ]


def test_a_time_out_shorter_than_a_hold_is_told_with_its_line() -> None:
    (finding,) = found(extra="media: {timeout: 20s}\n")
    assert (finding.code, finding.place.line is not None) == ("SOS117", True)
    assert "media.timeout 20s is shorter than a hold of 180 s" in finding.message
    assert found(extra="media: {timeout: 10m}\n") == []


@pytest.mark.parametrize(("ports", "surge", "expected"), [
    ("10000-14799", "", ["SOS231"]), ("10000-14797", "", ["SOS118"]),
    ("10000-10199", ", surge: {calls_per_second: 1, per_source: 1}", ["SOS231"]),
    ("10000-10199", ", surge: {calls_per_second: 4, per_source: 1}", ["SOS118"]),
])  # fmt: skip
def test_a_port_range_must_have_room_for_the_surge(ports: str, surge: str, expected: list[str]) -> None:
    emergency = EMERGENCY.replace("to: [psap]", f"to: [psap]{surge}")
    findings = found(extra=f"media: {{ports: {ports}}}\n", emergency=emergency)
    assert [finding.code for finding in findings] == expected


@pytest.mark.parametrize(
    ("ports", "refused"),
    [
        ("30000-40000", "1024-29999 and 40001-65535"),
        ("10000-65535", "1024-9999"),
        ("1024-50000", "50001-65535"),
        ("2048-65535", None),
        ("1024-65535", None),
    ],
)
def test_a_port_range_that_leaves_out_what_endpoints_use_says_which_ports_are_refused(
    ports: str, refused: str | None
) -> None:
    findings = found(extra=f"media: {{ports: {ports}}}\n")
    assert [(each.code, each.kind.severity, each.place.line) for each in findings] == (
        [("SOS231", "info", 6)] if refused else []
    )
    assert all(f"on ports {refused}:" in each.message for each in findings)


@pytest.mark.parametrize("mode", ["shadow", "'off'"])
def test_a_port_range_that_is_not_enforced_is_no_finding(mode: str) -> None:
    assert found(extra=f"media: {{mode: {mode}, ports: 30000-40000}}\n") == []


@pytest.mark.parametrize("mode", ["shadow", "'off'"])
def test_media_that_is_not_filtered_is_not_asked_about(mode: str) -> None:
    assert found("  - {name: wrong, when: rtp, action: drop}\n", extra=f"media: {{mode: {mode}, timeout: 1s}}\n") == []


def test_text_is_asked_about_only_where_the_policy_promises_it() -> None:
    emergency = EMERGENCY.replace("to: [psap]", "to: [psap], flows: [voice]")
    assert found("  - {name: no-text, when: 'media.kind == \"text\"', action: drop}\n", emergency=emergency) == []


def test_one_pair_of_each_zones_and_family_is_enough() -> None:
    pairs = media._pairs(policy())
    assert [(pair.caller.zone, ":" in pair.caller.ip) for pair in pairs] == [("carrier", False), ("carrier", True)]
