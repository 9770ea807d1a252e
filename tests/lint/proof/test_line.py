from hypothesis import given
from hypothesis import strategies as st

from firewall.lint.proof.formula import Formula
from firewall.lint.proof.line import Line

NUMBERS = st.integers(1, 65_535)


@given(st.sets(NUMBERS, max_size=8), NUMBERS)
def test_a_model_puts_the_number_into_one_piece_and_every_piece_can_be_had(cuts: set[int], number: int) -> None:
    formula = Formula()
    line = Line("sport", formula, cuts)
    model = formula.solve([line.at(number)])
    assert model is not None
    first, last = line.piece(model)
    assert first <= number <= last
    assert not [cut for cut in cuts if first < cut <= last]


@given(st.sets(NUMBERS, min_size=1, max_size=8), st.data())
def test_where_is_true_on_exactly_the_pieces_on_which_it_holds(cuts: set[int], data: st.DataObject) -> None:
    formula = Formula()
    line = Line("dport", formula, cuts)
    chosen = {cut: data.draw(st.booleans()) for cut in line.cuts}
    literal = line.where(cuts, lambda number: chosen[number])
    for cut, holds in chosen.items():
        assert formula.is_possible([line.at(cut), literal]) is holds
        assert formula.is_possible([line.at(cut), -literal]) is not holds


def test_within_is_both_ends_included() -> None:
    formula = Formula()
    line = Line("sport", formula, [10, 21])
    literal = line.within(10, 20)
    assert [formula.is_possible([literal, line.at(number)]) for number in (9, 10, 20, 21)] == [False, True, True, False]
