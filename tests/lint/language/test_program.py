from firewall.lint.language.program import END, START, match_program, shape_program
from firewall.lint.language.regex import read_regex


def test_a_shape_tells_where_its_groups_begin_and_end() -> None:
    program = shape_program(read_regex("(?P<user>a)@(?P<host>b)?", fold=False))
    assert program.members == (frozenset(), frozenset(b"b"), frozenset(b"@"), frozenset(b"a"))
    assert program.edges[START] == (((("open", "user"),), 3),)
    assert program.edges[3] == (((("close", "user"),), 2),)
    assert program.edges[2] == (((("open", "host"),), 1), ((), END))


def test_a_loop_of_nothing_ends() -> None:
    program = match_program(read_regex("(?:a*)*"))
    assert (frozenset(), END) in program.edges[START]


def test_an_assertion_stands_on_the_way_it_guards() -> None:
    program = match_program(read_regex("^a"))
    assert program.edges[START] == ((frozenset({"text_begin"}), 1),)


def test_a_bounded_repetition_grows_by_its_bound_not_by_its_square() -> None:
    program = match_program(read_regex("x{0,1000}"))
    assert sum(len(edges) for edges in program.edges) < 3000
