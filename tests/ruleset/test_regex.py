"""Regexes are RE2, case-insensitive, on bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.ruleset.literal import ExpressionError
from firewall.ruleset.regex import compile_regex


@pytest.mark.parametrize(
    ("regex", "data", "found"),
    [("invite", b"xINVITEx", True), ("^invite$", b"xINVITE", False), ("a.b", b"a\xffb", True), ("a.b", b"a\nb", False),
     ("é", "É".encode(), False), ("é", "é".encode(), True), (r"\d{3}", b"911", True), ("", b"", True)],
)  # fmt: skip
def test_a_regex_is_found_anywhere_whatever_the_case(regex: str, data: bytes, found: bool) -> None:
    assert (compile_regex(regex).search(data) is not None) is found


@pytest.mark.parametrize(
    ("regex", "said", "offset"),
    [("a[", "missing ]: [", 1), ("a)", "unexpected ): a)", 0), ("a**", "bad repetition operator: **", 1),
     ("x(?!y)", "invalid perl operator: (?!", 1), (r"(a)\1", r"invalid escape sequence: \1", 3),
     ("a{9999}", "invalid repetition size: {9999}", 1)],
)  # fmt: skip
def test_what_re2_refuses_is_refused_with_its_words(regex: str, said: str, offset: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_regex(regex)
    assert said in caught.value.cause
    assert caught.value.offset == offset
    assert caught.value.next_step


@given(st.text(max_size=20))
def test_any_text_is_a_regex_or_refused(regex: str) -> None:
    try:
        compiled = compile_regex(regex.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape"))
    except ExpressionError:
        return
    compiled.search(b"anything")
