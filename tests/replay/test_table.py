"""What a person reads: the hurt call with its rule, place, reason and what to do, on a terminal or piped."""

import io
from pathlib import Path

from rich.console import Console

from firewall.replay.driver import replay
from firewall.replay.table import print_replay
from tests.net.packets import SECOND_NS, START_NS, pcap
from tests.replay.calls import (
    ORDINARY,
    RULES_BLOCKING,
    RULES_CALLS,
    back,
    call,
    forth,
    invite,
    make_policy,
    message,
)


def shown(folder: Path, rules: str, *, guard: str = "off", against: str | None = None, cut: int = 0) -> str:
    data = pcap(call("e1") + call("o1", target=ORDINARY, user="al\x1b[31mice", begins_s=20), link_type=101)
    (folder / "a.pcap").write_bytes(data[: len(data) - cut])
    other = make_policy(folder, against, name="other") if against else None
    output = io.StringIO()
    policy = make_policy(folder, rules, guard=guard)
    print_replay(replay([str(folder / "a.pcap")], policy, against=other), Console(file=output))
    return output.getvalue()


def test_a_hurt_call_is_told_with_rule_place_reason_and_remedy(tmp_path: Path) -> None:
    text = shown(tmp_path, RULES_BLOCKING + RULES_CALLS)
    place = f"{tmp_path / 'county.yaml'}:7"
    assert "Emergency calls: 1 (1 blocked). HURT: 1." in text
    assert "192.0.2.7:5060 -> 198.51.100.2:5060  INVITE urn:service:sos" in text
    assert f'dropped by rule "no-anonymous", {place}' in text
    assert "emergency: request_uri urn:service:sos (RFC 5031" in text
    assert f'add "and not emergency" to the condition of rule "no-anonymous" at {place}' in text


def test_a_guarded_call_says_so(tmp_path: Path) -> None:
    text = shown(tmp_path, RULES_BLOCKING + RULES_CALLS, guard="enforce")
    assert "HURT: 1, 1 of them let through by the guard." in text
    assert "; the guard let it pass" in text


def test_a_call_that_no_rule_allows_is_told_with_the_rule_to_add(tmp_path: Path) -> None:
    text = shown(tmp_path, '\n  - name: nobody\n    when: sip.Method == "PUBLISH"\n    action: allow\n')
    assert "dropped by the default" in text
    assert "{name: emergency, when: emergency, action: allow}" in text


def test_no_hurt_call_is_said_too(tmp_path: Path) -> None:
    text = shown(tmp_path, RULES_CALLS)
    assert "Emergency calls: 1 (1 completed). None was hurt by county." in text


def test_what_could_not_be_read_is_named(tmp_path: Path) -> None:
    assert "packet 28: cut: the file ends after" in shown(tmp_path, RULES_CALLS, cut=5)


def test_calls_that_failed_on_a_trunk_the_policy_took_down_are_not_passed_over(tmp_path: Path) -> None:
    rules = '\n  - {name: no-options, when: sip.Method == "OPTIONS", action: drop}\n' + RULES_CALLS.lstrip("\n")
    options = message("OPTIONS sip:psap.example SIP/2.0", "1 OPTIONS", call_id="o1", target="sip:psap.example")
    refused = message("SIP/2.0 503 Trunk down", "1 INVITE", call_id="late", to_tag="b")
    packets = [
        *call("e1", media_packets=0),
        (START_NS + 20 * SECOND_NS, forth(options)),
        (START_NS + 60 * SECOND_NS, forth(invite("late"))),
        (START_NS + 61 * SECOND_NS, back(refused)),
    ]
    (tmp_path / "a.pcap").write_bytes(pcap(packets, link_type=101))
    output = io.StringIO()
    print_replay(replay([str(tmp_path / "a.pcap")], make_policy(tmp_path, rules)), Console(file=output))
    assert "1 emergency calls failed downstream after county had blocked OPTIONS of their trunk" in output.getvalue()
    assert "None was hurt by county." in output.getvalue()


def test_messages_that_a_snapshot_length_cut_are_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(pcap(call("e1"), link_type=101, snap_bytes=100))
    output = io.StringIO()
    print_replay(replay([str(tmp_path / "a.pcap")], make_policy(tmp_path, RULES_CALLS)), Console(file=output))
    assert "6 SIP messages are cut by a snapshot length and were NOT judged" in output.getvalue()


def test_changes_tell_both_decisions_emergency_first(tmp_path: Path) -> None:
    text = shown(tmp_path, RULES_CALLS, against="\n  - name: none\n    action: drop\n")
    changes = [line for line in text.splitlines() if " -> drop" in line and " packet " in line]
    assert len(changes) == 12
    assert ["emergency" in line for line in changes] == [True] * 6 + [False] * 6
    assert f"12 messages are decided differently by other ({tmp_path / 'other.yaml'}):" in text


def test_the_emergency_calls_of_both_policies_are_summed_up(tmp_path: Path) -> None:
    text = shown(tmp_path, RULES_CALLS, against="\n  - name: none\n    action: drop\n")
    summary = [line for line in text.splitlines() if line.startswith("Emergency calls")]
    assert summary == [
        f"Emergency calls: 1 (1 completed). None was hurt by county ({tmp_path / 'county.yaml'}).",
        f"Emergency calls: 1 (1 completed). HURT by other ({tmp_path / 'other.yaml'}): 1, "
        "1 of them let through by the guard.",
    ]


def test_a_change_says_where_only_the_guard_makes_it(tmp_path: Path) -> None:
    rules = RULES_BLOCKING + RULES_CALLS
    guarded, enforced = make_policy(tmp_path, rules), make_policy(tmp_path, rules, guard="off", name="other")
    (tmp_path / "a.pcap").write_bytes(pcap(call(), link_type=101))
    output = io.StringIO()
    print_replay(replay([str(tmp_path / "a.pcap")], enforced, against=guarded), Console(file=output))
    assert 'drop (rule "no-anonymous") -> drop (rule "no-anonymous"; the guard lets it pass)' in output.getvalue()


def test_no_change_is_said_too(tmp_path: Path) -> None:
    assert "no message is decided differently" in shown(tmp_path, RULES_CALLS, against=RULES_CALLS)


def test_piped_text_has_no_escape_sequences_not_even_the_traffics_own(tmp_path: Path) -> None:
    text = shown(tmp_path, RULES_BLOCKING.replace("anonymous", "nobody") + RULES_CALLS, against=RULES_BLOCKING)
    assert "\x1b" not in text
