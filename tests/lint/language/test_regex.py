import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firewall.lint.language.automaton import holds_of
from firewall.lint.language.bounds import UnmodelledError
from firewall.lint.language.matching import Matching
from firewall.lint.language.regex import Chars, Group, Repeat, Sequence, read_regex
from firewall.ruleset.literal import ExpressionError
from firewall.ruleset.regex import compile_regex

_ATOMS = [
    *("a", "b", "Z", ".", "-", "]", "{", "}", "1", "_", "é", "\\.", "\\-", "^", "$", "\\A", "\\z", "\\b", "\\B", "\\C"),
    *(
        "\\d",
        "\\D",
        "\\w",
        "\\W",
        "\\s",
        "\\S",
        "\\pL",
        "\\PL",
        "\\p{Lu}",
        "\\p{^N}",
        "\\x41",
        "\\x{e9}",
        "\\101",
        "\\n",
    ),
    *("[ab]", "[^a]", "[]a]", "[^]a]", "[a-c\\d]", "[[:alpha:]]", "[[:^digit:]b]", "[\\pL-]", "[\\x41-\\x5a]", "[a{]"),
    *("\\Qa.b\\E", "\\Q(\\E", "(?i)", "(?m)", "(?s)", "(?-i)", "(?U)", "(?im-s)", "(?P<n>a)", "(?<m>b)", "()"),
]
_REPEATS = ["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "*?", "+?", "??", "{1,2}?", "{,2}", "{x"]
_TEXTS = st.lists(st.sampled_from(b"abZzA1_. \n-]{}\xe9\xc3\xa9\xc9("), max_size=6).map(bytes)
_REGEXES = st.recursive(
    st.sampled_from(_ATOMS),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("|".join),
        inner.map("({})".format),
        st.tuples(st.sampled_from(["(?:{})", "(?i:{})", "(?-i:{})", "(?s-m:{})", "(?m:{})"]), inner).map(
            lambda pair: pair[0].format(pair[1])
        ),
        st.tuples(inner, st.sampled_from(_REPEATS)).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        st.tuples(st.sampled_from(_ATOMS), st.sampled_from(_REPEATS)).map("".join),
    ),
    max_leaves=8,
)


@given(_REGEXES, st.lists(_TEXTS, min_size=1, max_size=8))
@settings(max_examples=400, deadline=None)
def test_a_regex_is_found_in_a_text_exactly_where_re2_finds_it(regex: str, texts: list[bytes]) -> None:
    try:
        compiled = compile_regex(regex)
    except ExpressionError:
        return
    automaton = Matching(regex)
    for text in texts:
        assert holds_of(automaton, text) is (compiled.search(text) is not None), (regex, text)


@pytest.mark.parametrize(
    ("regex", "found", "not_found"),
    [
        (r"^urn:service:sos(\.[a-z-]+)*$", b"URN:service:SOS.police", b"urn:service:sos."),
        (r"friendly-?scanner|sipvicious", b"a Friendly-Scanner/1", b"friendly--scanner"),
        (r"\b911\b", b"sip:911@psap", b"sip:9911@psap"),
        (r"^.{256,}$", b"x" * 256, b"x" * 255),
        (r"[^[:print:]]", b"a\x01b", b"a b"),
        (r"^(?:\+?1)?911$", b"+1911", b"+911"),
        (r"(?-i)SIP", b"SIP/2.0", b"sip/2.0"),
        (r"x{0,1000}y", b"y", b"x"),
        (r"^a(?i)*B$", b"aab", b"cb"),
    ],
)
def test_regexes_of_real_rules(regex: str, found: bytes, not_found: bytes) -> None:
    automaton = Matching(regex)
    assert holds_of(automaton, found)
    assert not holds_of(automaton, not_found)


def test_a_named_group_and_a_repetition_are_read_as_such() -> None:
    assert read_regex("(?P<user>a){2,5}", fold=False) == Sequence(
        (Repeat(Group("user", Sequence((Chars(frozenset(b"a")),))), 2, 5),)
    )


def test_letters_fold_only_where_asked() -> None:
    assert read_regex("k") == Sequence((Chars(frozenset(b"kK")),))
    assert read_regex("k", fold=False) == Sequence((Chars(frozenset(b"k")),))


@pytest.mark.parametrize("regex", ["(?=a)", "a)", "(a", "[a"])
def test_what_is_no_regex_of_re2_is_not_guessed_at(regex: str) -> None:
    with pytest.raises(UnmodelledError):
        read_regex(regex)
