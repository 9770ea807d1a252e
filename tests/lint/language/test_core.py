"""Of things that suffice together those are left without which the others do not."""

from firewall.lint.language.core import needed


def test_what_is_left_suffices_and_nothing_of_it_can_be_left_out() -> None:
    numbers = [1000, 1, 3, 2000, 5, 1]
    left = needed(numbers, lambda some: sum(some) >= 2003)
    assert all(sum(left) - each < 2003 for each in left)


def test_what_suffices_without_anything_leaves_nothing() -> None:
    assert needed("abc", lambda _: True) == []
