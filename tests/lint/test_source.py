import pytest

from firewall.lint.source import PolicySource, start_of

TEXT = """# head
policy: "a # b"   # after a quote
rules:            # first match
  - name: one
    when: >-  # in one line
      sip.Subject == "#1"  # content of the block, no comment
      and not emergency
  # above two
  - name: two   #no blank
    when: sip.Subject == "x#y"
default: drop
# foot"""


def test_comments_are_what_a_yaml_reader_skips_and_nothing_inside_a_scalar() -> None:
    found = [(comment.line, comment.is_alone, comment.text) for comment in PolicySource(TEXT).comments()]
    assert found == [
        (1, True, "# head"),
        (2, False, "# after a quote"),
        (3, False, "# first match"),
        (5, False, "# in one line"),
        (8, True, "# above two"),
        (9, False, "#no blank"),
        (12, True, "# foot"),
    ]


def test_places_and_offsets_are_each_others_inverse() -> None:
    source = PolicySource(TEXT)
    assert all(source.offset(*source.position(offset)) == offset for offset in range(len(TEXT) + 1))


def test_the_next_line_is_behind_any_line_break_and_behind_the_last_the_end() -> None:
    source = PolicySource("a: b\r\nc: d\ne: f")
    assert [source.next_line(offset) for offset in (0, 4, 6, 11, 14)] == [6, 6, 11, 15, 15]


def test_a_node_ends_where_its_text_ends() -> None:
    source = PolicySource(TEXT)
    one = source.rule("one")
    assert one is not None
    assert TEXT[start_of(one) : source.end_of(one)].endswith("and not emergency")
    policy = source.entry(source.root, "policy")
    assert policy is not None
    assert TEXT[start_of(policy.value) : source.end_of(policy.value)] == '"a # b"'


def test_edits_change_their_stretch_and_nothing_else() -> None:
    source = PolicySource(TEXT)
    edits = (source.edit(0, 6, "# top"), source.edit(TEXT.index("drop"), TEXT.index("drop") + 4, "allow"))
    assert source.edited(edits) == TEXT.replace("# head", "# top").replace("default: drop", "default: allow")


@pytest.mark.parametrize("text", ["policy: a\rdefault: drop", "- a", "policy: ["])
def test_what_editors_and_yaml_count_differently_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        PolicySource(text)
