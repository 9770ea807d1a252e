import json

from firewall.lint.difference import Difference, difference
from firewall.lint.rendering.difference import difference_document, difference_lines, verdict_words, witness_line
from tests.lint.policies import policy, rule


def between(before: str, after: str) -> Difference:
    return difference(policy(before), policy(after))


def rendered(found: Difference, width: int | None = None) -> list[str]:
    return ["".join(piece for piece, _ in line) for line in difference_lines(found, {0: "w/change-1.pcap"}, width)]


def test_a_change_has_its_messages_its_conditions_both_rules_and_a_witness() -> None:
    lines = rendered(between("", rule('sip.User-Agent contains "x" and emergency', "reject")))
    assert lines[0].startswith("1. emergency (call): INVITE, ")
    label, _, where = lines[1].partition(": ")
    assert label.strip() == "where"
    assert set(where.split(" and ")) == {"the source zone is carrier", 'the User-Agent contains "x"'}
    assert lines[2].startswith('   before   : allow, rule "from-carrier" (test.yaml:')
    assert lines[3] == '   after    : reject with 403, rule "guilty" (test.yaml:7)'
    assert lines[4].startswith("   witness  : INVITE urn:service:sos SIP/2.0, udp 192.0.2.10:5060 > ")
    assert lines[5] == "   capture  : w/change-1.pcap (messages: 1)"
    assert lines[-1].startswith("differs: test.yaml -> test.yaml: ")


def test_sameness_is_said_with_what_was_asked() -> None:
    (line,) = rendered(between(rule("emergency"), rule("emergency")))
    assert line.startswith("same: test.yaml -> test.yaml: no change in meaning: ")
    assert line.endswith(" questions")


def test_names_that_change_are_a_note() -> None:
    lines = rendered(between(rule("emergency", name="a"), rule("emergency", name="b")))
    assert lines[:2] == [
        "   note     : rules of these names are gone: a",
        "   note     : rules of these names are new: b",
    ]
    assert lines[2].startswith("same: ")


def test_lines_fit_the_width_of_a_terminal() -> None:
    found = between("", rule('sip.User-Agent contains "x" and not emergency'))
    folded = rendered(found, 60)
    assert all(len(line) <= 60 for line in folded if line.startswith("   ") and " " in line.strip()[14:])
    assert len(folded) > len(rendered(found))


def test_a_ban_is_part_of_the_verdict() -> None:
    found = between(rule("emergency"), rule("emergency", more="ban: 10m"))
    assert {verdict_words(change.after) for change in found.changes} == {"drop and ban for 10m"}


def test_the_document_has_what_the_page_promises() -> None:
    found = between("", rule('sip.Method == "INFO"', more="ban: 10m"))
    document = json.loads(json.dumps(difference_document(found, {0: "w/a.pcap"})))
    assert set(document) == {
        *("result", "old", "new", "changes", "settings", "notes", "undecided", "cut", "extent"),
    }
    first = document["changes"][0]
    assert (first["emergency"], first["pcap"]) == (True, "w/a.pcap")
    after = first["after"]
    assert (after["verdict"], after["status"], after["ban"], after["reason"]) == ("drop", None, "10m", "rule")
    assert (after["rule"], after["line"]) == ("guilty", 7)
    assert first["witness"]["summary"] == witness_line(found.changes[0])
    assert document["changes"][-1]["emergency"] is False
