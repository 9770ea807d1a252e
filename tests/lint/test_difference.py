"""What changes between two policies: a proof that nothing does, or messages that the engine decides otherwise."""

import re
from pathlib import Path
from random import Random

import pytest
import yaml

from firewall.cli.policy_file import policy_of, read_policy
from firewall.engine.engine import Engine
from firewall.engine.events import PolicyReplaced
from firewall.lint.difference import Difference, difference
from firewall.lint.finding import Sent
from firewall.lint.probe import Questioner, decide, opened
from firewall.lint.proof.compare import Change
from firewall.ruleset.policy import Policy
from tests.lint.pairs import calls, policies
from tests.lint.policies import loaded, policy, rule, text

ROOT = Path(__file__).parents[2]
START = (ROOT / "rules" / "start.yaml").read_text(encoding="utf-8")


def start(*edits: tuple[str, str]) -> Policy:
    """The start policy with some texts replaced; each must be there."""
    written = START
    for old, new in edits:
        assert written.count(old) >= 1, old
        written = written.replace(old, new, 1)
    return policy_of(written.encode(), str(ROOT / "rules" / "start.yaml"))


def between(before: str, after: str) -> Difference:
    """The difference between two policies that begin with these rules."""
    return difference(policy(before), policy(after))


def last_verdict(tested: Policy, change: Change) -> tuple[str, str | None]:
    """What an engine of its own decides on the last message of a change's witness."""
    questioner = Questioner(tested)
    engine = Engine(opened(questioner.policy)) if change.set_up else questioner.engine()
    for each in change.sent[: change.set_up]:
        decide(engine, each)
    if change.set_up:
        engine.handle(PolicyReplaced(questioner.policy), change.sent[change.set_up].at_ns)
    decision = [decide(engine, each) for each in change.sent[change.set_up :]][-1].decision
    return decision.verdict, decision.rule


def verdicts(tested: Policy, call: list[Sent]) -> list[str]:
    engine = Questioner(tested).engine()
    return [decide(engine, each).decision.verdict for each in call]


@pytest.mark.parametrize("seed", range(25))
def test_where_nothing_differs_both_engines_agree_and_where_something_does_they_do_not(seed: int) -> None:
    random = Random(seed)
    old, new = policies(random)
    found = difference(old, new)
    assert found.result != "undecided", found.unanswered
    for change in found.changes:
        assert last_verdict(old, change) == (change.before.verdict, change.before.rule)
        assert last_verdict(new, change) == (change.after.verdict, change.after.rule)
        assert (change.before.verdict, change.before.status) != (change.after.verdict, change.after.status)
    if found.result == "same":
        for call in calls(random, old, 15):
            assert verdicts(old, call) == verdicts(new, call), seed


REFACTORINGS = {
    "disjoint rules in another order": (
        rule('sip.Method == "PUBLISH"', name="a") + rule('sip.Method == "INFO"', "reject", name="b"),
        rule('sip.Method == "INFO"', "reject", name="b") + rule('sip.Method == "PUBLISH"', name="a"),
    ),
    "an or split into two rules": (
        rule('sip.User-Agent contains "x" or net.src == 192.0.2.7', name="a"),
        rule('sip.User-Agent contains "x"', name="b") + rule("net.src == 192.0.2.7", name="c"),
    ),
    "De Morgan": (
        rule('not (sip.User-Agent contains "x" and sip.Subject == "y")'),
        rule('not sip.User-Agent contains "x" or not sip.Subject == "y"'),
    ),
    "a list instead of comparisons": (
        rule('sip.User-Agent == "x" or sip.User-Agent == "y" or sip.User-Agent == "z"'),
        rule('sip.User-Agent in {"z", "x", "y"}'),
    ),
    "two networks that are one": (
        rule("net.src == 192.0.2.0/25 or net.src == 192.0.2.128/25"),
        rule("net.src == 192.0.2.0/24"),
    ),
    "a stricter test behind a wider one": (
        rule('sip.User-Agent contains "a"', name="a") + rule('sip.User-Agent contains "ab"', name="b"),
        rule('sip.User-Agent contains "a"', name="a"),
    ),
    "a regex for a text": (rule('sip.Subject matches "^abc$"'), rule('lower(sip.Subject) == "abc"')),
    "hours in two halves": (
        rule("emergency", more='schedule: {hours: "08:00-12:00", timezone: UTC}', name="a"),
        rule("emergency", more='schedule: {hours: "08:00-10:00", timezone: UTC}', name="a")
        + rule("emergency", more='schedule: {hours: "10:00-12:00", timezone: UTC}', name="b"),
    ),
    "another name": (rule("emergency", name="a"), rule("emergency", name="b")),
    "a limit under another name": (
        rule("not emergency", more="limit: {rate: 5/1s, per: net.src}", name="a"),
        rule("not emergency", more="limit: {rate: 5/1s, per: net.src}", name="b"),
    ),
}


@pytest.mark.parametrize("name", REFACTORINGS)
def test_a_refactoring_is_proved_to_change_nothing(name: str) -> None:
    found = between(*REFACTORINGS[name])
    assert (found.result, found.changes, found.settings, found.exit_code) == ("same", (), (), 0)


EDITS = {
    "scanners": (
        "(sip.User-Agent in $scanners or net.src in $blocked) and not emergency",
        "sip.User-Agent in $scanners",
    ),
    "limit": ('sip.Method == "INVITE" and not emergency', 'sip.Method == "INVITE"'),
    "calls": ('"INVITE", "ACK", "BYE"', '"ACK", "BYE"'),
    "psaps": ('when: zone.src == "psap"', 'when: zone.src == "psap" and sip.Method == "BYE"'),
    "one sub-service": ("rules:\n", 'rules:\n  - {name: x, when: sip.r-uri == "urn:service:sos.fire", action: drop}\n'),
    "one minute a week": (
        "rules:\n",
        "rules:\n  - {name: x, when: emergency, action: drop, "
        'schedule: {days: [sun], hours: "03:00-03:01", timezone: UTC}}\n',
    ),
    "one address": ("rules:\n", "rules:\n  - {name: x, when: net.src == 192.0.2.201, action: reject}\n"),
    "long messages": ("rules:\n", "rules:\n  - {name: x, when: frame.len > 40000, action: drop}\n"),
    "mid-call": ("rules:\n", 'rules:\n  - {name: x, when: sip.CSeq.method == "PRACK", action: drop}\n'),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_that_costs_emergency_calls_is_told_first(name: str) -> None:
    found = difference(start(), start(EDITS[name]))
    first = found.changes[0]
    assert first.is_emergency
    assert first.before.verdict == "allow"
    assert first.after.verdict != "allow"
    assert found.exit_code == 1


def test_a_limit_of_other_numbers_is_shown_by_a_message_between_the_two_and_by_its_numbers() -> None:
    found = difference(start(), start(("rate: 30/2s, per: net.src, burst: 30", "rate: 50/2s, per: net.src, burst: 50")))
    assert [(each.before.verdict, each.after.verdict) for each in found.changes if each.after.rule == "calls"] == [
        ("reject", "allow")
    ]
    assert len(found.changes[0].sent) == 31
    (setting,) = found.settings
    assert (setting.before, setting.after) == ("30/2s per net.src", "50/2s per net.src")


def test_a_limit_that_counts_other_messages_is_a_difference_though_no_single_verdict_changes() -> None:
    limit = "limit: {rate: 5/1s, per: net.src}"
    both = rule('sip.Method in {"PUBLISH", "INFO"}', name="a", more=limit)
    one = rule('sip.Method == "INFO"', name="a", more=limit)
    never = rule('sip.Method == "PUBLISH"', name="b")
    found = between(both + never, one + never)
    assert found.changes == ()
    assert [each.what for each in found.settings] == ['limit of rule "a"']
    assert "PUBLISH" in found.settings[0].before


def test_a_ban_that_is_added_is_a_change_of_the_verdict() -> None:
    found = between(rule('sip.Method == "PUBLISH"'), rule('sip.Method == "PUBLISH"', more="ban: 10m"))
    assert {(change.before.ban, change.after.ban) for change in found.changes} == {(None, "10m")}


def test_more_emergency_numbers_are_a_difference_and_their_calls_are_shown() -> None:
    rules = rule("not emergency")
    before = loaded(text(rules))
    after = loaded(text(rules).replace('numbers: ["911"]', 'numbers: ["911", "112"]'))
    found = difference(before, after)
    assert [each.what for each in found.settings] == ["emergency.numbers"]
    assert any(change.is_emergency and change.after.verdict == "allow" for change in found.changes)


def test_regions_of_one_pair_of_rules_are_told_as_alternatives() -> None:
    found = between("", rule('sip.User-Agent == "x" or net.src == 192.0.2.7'))
    where = {words for change in found.changes for region in change.where for words in region}
    assert "the User-Agent is x" in where
    assert "the source is 192.0.2.7" in where


def test_rules_about_what_no_message_here_shows_leave_it_undecided() -> None:
    found = between("", rule('malformed.reason contains "no_such_reason"'))
    assert found.result == "undecided"
    assert "malformed.reason" in found.unanswered[0]
    assert found.exit_code == 1


@pytest.mark.parametrize(
    ("few", "more"),
    [
        ('sip.from.user in {"alice"}', 'sip.from.user in {"alice", "é"}'),
        ('sip and not sip.User-Agent in {"x", "y"}', 'sip and not sip.User-Agent in {"x", "y", " z"}'),
        ('sip.to.tag in {"x"}', 'sip.to.tag in {"x", "a b"}'),
    ],
)
def test_a_member_of_a_list_that_no_message_of_the_model_has_leaves_it_undecided(few: str, more: str) -> None:
    for one, other in ((few, more), (more, few)):
        found = between(rule(one), rule(other))
        assert found.result == "undecided"
        assert few.split(" in ")[0].removeprefix("sip and not ") in found.unanswered[0]


@pytest.mark.parametrize(
    "when", ["net.src == 127.0.0.1", "ip.dst == 224.0.1.75", "ipv6.src == fe80::1", "udp.port == 0"]
)
def test_packets_that_only_a_capture_or_an_attack_has_are_compared_too(when: str) -> None:
    found = difference(policy(default="allow"), policy(rule(when), default="allow"))
    assert any(change.after.rule == "guilty" for change in found.changes)


INCIDENTS = sorted(path.parent for path in (ROOT / "rules" / "incidents").glob("*/before.yaml"))


@pytest.mark.parametrize("folder", INCIDENTS, ids=lambda folder: folder.name)
def test_the_change_that_led_to_an_incident_is_told_before_it_is_loaded(folder: Path) -> None:
    before, broken = (read_policy(str(folder / f"{name}.yaml")) for name in ("before", "broken"))
    found = difference(before, broken)
    assert found.exit_code == 1
    expected = yaml.safe_load((folder / "expected.yaml").read_text(encoding="utf-8"))
    lost = [c for c in found.changes if c.is_emergency and c.before.verdict == "allow" and c.after.verdict != "allow"]
    assert bool(lost) == expected.get("diff", {}).get("emergency", False)
    for change in found.changes:
        if not change.sent[-1].label.startswith("RTP "):
            assert last_verdict(before, change) == (change.before.verdict, change.before.rule)
            assert last_verdict(broken, change) == (change.after.verdict, change.after.rule)


def _edits_of_the_start_policy() -> list[tuple[str, str]]:
    """Each rule left out, each method, zone and set of a rule exchanged or left out, each ``not`` and the default."""
    rules = re.findall(r"  - name: .*?\n\n", START.partition("rules:\n")[2] + "\n\n", re.DOTALL)
    methods = re.findall(r'"[A-Z]+", ', START)
    return [
        *((each.rstrip("\n"), "") for each in rules if each.rstrip("\n") in START),
        *((each, "") for each in methods),
        (" and not emergency", ""),
        ("not emergency", "emergency"),
        ('sip.Method == "INVITE"', 'sip.Method == "BYE"'),
        ('when: zone.src == "psap"', 'when: zone.src == "carrier"'),
        ("default: drop", "default: allow"),
        ("burst: 30", "burst: 3"),
        ("mode: shadow", "mode: enforce"),
        ("net.src in $blocked", "net.dst in $blocked"),
        ("203.0.113.0/24", "192.0.2.0/24"),
        ("malformed: drop", "malformed: allow"),
    ]


@pytest.mark.parametrize("edit", _edits_of_the_start_policy(), ids=lambda edit: " ".join(edit[0].split())[:24])
def test_no_edit_of_the_start_policy_changes_what_becomes_of_a_call_unseen(edit: tuple[str, str]) -> None:
    old, new = start(), start(edit)
    random = Random(7)
    is_seen = any(verdicts(old, call) != verdicts(new, call) for call in calls(random, old, 60))
    found = difference(old, new)
    assert not found.unanswered
    assert not is_seen or found.result == "differs"
    for change in found.changes:
        assert last_verdict(old, change) == (change.before.verdict, change.before.rule)
        assert last_verdict(new, change) == (change.after.verdict, change.after.rule)


def test_media_of_an_emergency_call_that_a_rule_refuses_is_a_change_shown_by_a_packet() -> None:
    video = rule('rtp and zone.src == "psap" and rtp.p_type == 8', name="no-pcma")
    for before, after in (("", video), (video, "")):
        found = difference(policy(before), policy(after))
        (change,) = found.changes
        assert change.is_emergency
        assert {change.before.verdict, change.after.verdict} == {"allow", "drop"}
        assert (change.before.rule, change.after.rule) == ("no-pcma" if before else None, "no-pcma" if after else None)
        assert change.sent[-1].datagram.payload[1] & 0x7F == 8
        assert change.where == [("the packet goes from psap to carrier",)]
        assert found.unanswered
    assert difference(policy(video), policy(video.replace("no-pcma", "other"))).result == "same"
