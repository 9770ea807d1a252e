from firewall.errors import Place
from firewall.lint.finding import Edit, Finding, Fix, Mark
from firewall.lint.rendering.excerpt import change_lines, excerpt_lines
from firewall.lint.rendering.label import Line

LINES = ["rules:", "  - name: a", "    when: >", "      sip.Via", "", "      and sip.To", "    action: drop", ""]


def words(lines: list[Line]) -> list[str]:
    return ["".join(piece for piece, _ in line) for line in lines]


def excerpt(place: Place, *marks: Mark) -> list[str]:
    finding = Finding("SOS101", "message", place, "help", marks=marks)
    return words(list(excerpt_lines(finding, LINES, "red", None)))


def test_a_stretch_of_several_lines_has_carets_under_each() -> None:
    assert excerpt(Place("p.yaml", 2, 5), Mark(4, 7, 6, 17)) == [
        "      |",
        "    2 |   - name: a",
        "    …",
        "    4 |       sip.Via",
        "      |       ^^^^^^^",
        "    5 | ",
        "      | ^",
        "    6 |       and sip.To",
        "      |       ^^^^^^^^^^",
    ]


def test_a_place_beyond_the_file_shows_nothing() -> None:
    assert excerpt(Place("p.yaml", 99, 1)) == []
    assert excerpt(Place("p.yaml")) == []


def test_lines_that_go_and_lines_that_come_are_numbered_as_they_stand_now() -> None:
    deleted = Fix("", (Edit(2, 1, 8, 1, ""),))
    assert words(list(change_lines(deleted, LINES, None)))[0] == "    2 -   - name: a"
    assert len(list(change_lines(deleted, LINES, None))) == 6
    added = Fix("", (Edit(7, 5, 7, 5, "when: not emergency\n    "),))
    assert words(list(change_lines(added, LINES, None))) == ["    7 +     when: not emergency"]


def test_several_edits_in_one_line_are_one_change() -> None:
    wrapped = Fix("", (Edit(4, 7, 4, 7, "("), Edit(6, 17, 6, 17, ") and not emergency")))
    assert words(list(change_lines(wrapped, LINES, None))) == [
        "    4 -       sip.Via",
        "    4 +       (sip.Via",
        "    6 -       and sip.To",
        "    6 +       and sip.To) and not emergency",
    ]


def test_of_a_line_too_long_for_the_terminal_the_part_that_is_meant_is_shown() -> None:
    long = "    when: " + " or ".join(f'sip.Subject == "{number}"' for number in range(9_000))
    place, end = Place("p.yaml", 1, 5), len(long) + 1
    finding = Finding("SOS101", "message", place, "help", marks=(Mark(1, end - 4, 1, end),))
    _, quoted, carets = words(list(excerpt_lines(finding, [long], "red", 60)))
    under = carets.index("^")
    assert quoted[under:] == '999"'.rjust(4)
    assert max(len(quoted), len(carets)) <= 60
    appended = Fix("", (Edit(1, end, 1, end, " and not emergency"),))
    _, added = words(list(change_lines(appended, [long], 60)))
    assert added.endswith('"8999" and not emergency')
    assert len(added) <= 60
    assert all(len(line) < 500 for line in words(list(change_lines(appended, [long], None))))


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    finding = Finding("SOS101", "message", Place("p.yaml", 1, 1), "help")
    quoted = words(list(excerpt_lines(finding, ["a\x1b[31m\tb"], "red", 60)))[1]
    assert quoted == "    1 | a·[31m b"


def test_of_a_change_in_a_line_too_long_for_the_terminal_the_part_that_differs_is_shown() -> None:
    line = "  guard: alert      # the net is not yet up: what a rule blocks is blocked"
    fix = Fix("", (Edit(1, 10, 1, 15, "enforce"),))
    assert words(list(change_lines(fix, [line], 50))) == [
        "    1 -   guard: alert      # the net is not ye…",
        "    1 +   guard: enforce      # the net is not …",
    ]
    at_end = Fix("", (Edit(1, len(line) + 1, 1, len(line) + 1, " or not"),))
    assert words(list(change_lines(at_end, [line], 40))) == [
        "    1 - …what a rule blocks is blocked",
        "    1 + …rule blocks is blocked or not",
    ]
