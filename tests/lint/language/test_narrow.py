from firewall.lint.language.narrow import Narrowing, enclosing, narrowed
from firewall.lint.language.program import shape_program
from firewall.lint.language.regex import read_regex

_SHAPE = read_regex("(?P<line>(?P<name>[a-c]+)?<(?P<uri>[d-f]+)>(?:;(?P<param>[g-i]+))*)", fold=False)


def _steps(narrowing: Narrowing) -> list[bytes]:
    return [bytes(sorted(members)) for members in shape_program(narrowed(_SHAPE, narrowing)).members[:0:-1]]


def test_what_nothing_reads_is_left_out_or_one_byte() -> None:
    assert _steps(Narrowing(frozenset({"uri"}), frozenset())) == [b"<", b"def", b"def", b">"]


def test_all_stays_inside_a_group_that_is_read() -> None:
    whole = shape_program(_SHAPE).members
    assert shape_program(narrowed(_SHAPE, Narrowing(frozenset({"line"}), frozenset()))).members == whole


def test_a_kept_text_takes_the_place_of_its_group() -> None:
    kept = Narrowing(frozenset({"uri"}), frozenset(), frozenset({("name", b"zz")}))
    assert _steps(kept) == [b"z", b"z", b"<", b"def", b"def", b">"]


def test_groups_know_what_stands_around_them() -> None:
    assert enclosing(_SHAPE)["param"] == frozenset({"line"})
    assert enclosing(_SHAPE)["line"] == frozenset()
