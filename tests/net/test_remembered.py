"""Short texts are read once, long ones each time."""

from firewall.net.remembered import LONGEST, remembered


def test_only_short_texts_are_remembered() -> None:
    seen: list[str] = []

    @remembered(10)
    def read(text: str) -> int:
        seen.append(text)
        return len(text)

    long = "x" * (LONGEST + 1)
    assert [read("ab"), read("ab"), read(long), read(long)] == [2, 2, len(long), len(long)]
    assert seen == ["ab", long, long]


def test_what_is_remembered_is_bounded() -> None:
    seen: list[str] = []

    @remembered(2)
    def read(text: str) -> int:
        seen.append(text)
        return len(text)

    assert [read(text) for text in ("a", "b", "a", "c", "c", "a")] == [1] * 6
    assert seen == ["a", "b", "c", "a"], "the third text made room for itself"
