from firewall.lint.language.narrow import Narrowing
from firewall.lint.language.program import START
from firewall.lint.language.shape import shape_of

_SHAPE = shape_of("(?P<user>a)@(?P<host>b)\\n", Narrowing(frozenset({"user", "host"}), frozenset()))


def test_each_step_knows_how_far_the_end_is() -> None:
    assert _SHAPE.distances[START] == 4
    assert sorted(_SHAPE.distances) == [0, 1, 2, 3, 4]


def test_each_step_knows_which_groups_it_is_in_and_which_may_still_begin() -> None:
    user = next(step for step, members in enumerate(_SHAPE.program.members) if members == frozenset(b"a"))
    assert _SHAPE.inside[user] == frozenset({"user"})
    assert _SHAPE.openable[user] == frozenset({"host"})
    assert _SHAPE.openable[START] == frozenset({"user", "host"})
