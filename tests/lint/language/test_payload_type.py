import operator

import pytest

from firewall.lint.language.automaton import Ordered, holds_of
from firewall.lint.language.payload_type import PayloadNamed


@pytest.mark.parametrize(
    ("name", "word", "holds"),
    [
        ("ITU-T G.711 PCMU", b"0", True),
        ("ITU-T G.711 PCMU", b"8", False),
        ("DynamicRTP-Type-101", b"101", True),
        ("101", b"101", False),
        ("128", b"128", True),
        ("1000", b"1000", True),
        ("t38", b"t38", True),
    ],
)
def test_a_payload_type_is_read_by_its_name_and_other_words_as_they_stand(name: str, word: bytes, holds: bool) -> None:
    assert holds_of(PayloadNamed(Ordered(name.encode(), operator.eq)), word) is holds
