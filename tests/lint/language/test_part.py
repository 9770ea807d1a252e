"""Fields that read a part of another: the table is true of every captured message."""

import pytest

from firewall.lint.language.part import WHOLES
from firewall.ruleset.evaluate import operand_reader
from firewall.ruleset.expression import Field
from tests.ruleset.captured import facts


@pytest.mark.parametrize("part", WHOLES)
def test_each_value_of_a_part_stands_in_a_value_of_the_whole(part: str) -> None:
    read = operand_reader(Field(part))
    for whole in WHOLES[part]:
        read_whole = operand_reader(Field(whole))
        for each in facts():
            wholes = [str(value).replace("\t", " ") for value in read_whole(each)]
            assert all(any(str(value) in text for text in wholes) for value in read(each))
