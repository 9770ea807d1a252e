from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from firewall.lint.proof.formula import Formula


def models(formula: Formula, variables: list[int], goal: int) -> set[tuple[bool, ...]]:
    """Every assignment of the variables under which the goal can hold, asked one by one."""
    every = product((False, True), repeat=len(variables))
    return {
        values
        for values in every
        if formula.is_possible([goal, *(v if is_true else -v for v, is_true in zip(variables, values, strict=True))])
    }


def test_all_of_holds_exactly_when_all_do_and_any_of_when_one_does() -> None:
    formula = Formula()
    three = [formula.new() for _ in range(3)]
    assert models(formula, three, formula.all_of(three)) == {(True, True, True)}
    assert models(formula, three, -formula.any_of(three)) == {(False, False, False)}


def test_constants_disappear() -> None:
    formula = Formula()
    a = formula.new()
    assert formula.all_of([a, formula.true]) == a
    assert formula.all_of([a, -a]) == formula.false
    assert formula.any_of([]) == formula.false
    assert formula.any_of([a, formula.true]) == formula.true


@given(st.integers(1, 9))
def test_exactly_one_is_exactly_one(count: int) -> None:
    formula = Formula()
    several = [formula.new() for _ in range(count)]
    formula.exactly_one(several)
    assert models(formula, several, formula.true) == {tuple(n == one for n in range(count)) for one in range(count)}


def test_a_model_says_which_literals_hold_and_a_core_which_assumptions_do_not() -> None:
    formula = Formula()
    a, b, c = formula.new(), formula.new(), formula.new()
    formula.add([-a, b])
    model = formula.solve([a])
    assert model is not None
    assert model.holds(a)
    assert model.holds(b)
    assert not model.holds(-b)
    assert formula.solve([a, c, -b]) is None
    assert set(formula.core()) <= {a, -b}


def test_what_is_preferred_is_so_where_nothing_forbids_it() -> None:
    formula = Formula()
    a, b = formula.new(), formula.new()
    formula.add([-a, -b])
    formula.prefer([a, -b])
    model = formula.solve([])
    assert model is not None
    assert (model.holds(a), model.holds(b)) == (True, False)
