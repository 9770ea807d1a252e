"""The window over a byte source: it asks for what is needed, keeps what is left, and stays small."""

import io

from hypothesis import given
from hypothesis import strategies as st

from firewall.net.capture_record import ByteWindow


class Counting:
    def __init__(self, size: int) -> None:
        self.left = size
        self.largest = 0

    def read(self, size: int, /) -> bytes:
        self.largest = max(self.largest, size)
        given_bytes = min(size, self.left)
        self.left -= given_bytes
        return bytes(given_bytes)


def test_a_window_over_a_large_source_stays_small() -> None:
    window = ByteWindow(Counting(50_000_000))
    passed, held = 0, 0
    while window.require(1000):
        held = max(held, len(window.data))
        window.offset += 1000
        passed += 1000
    assert passed == 50_000_000
    assert held < 1_000_000


def test_a_request_beyond_the_end_is_refused_and_what_is_left_is_kept() -> None:
    window = ByteWindow(io.BytesIO(b"0123456789"))
    assert window.require(4)
    window.offset = 4
    assert not window.require(7)
    assert window.data[window.offset :] == b"456789"
    assert window.require(6)


@given(st.binary(max_size=500), st.lists(st.integers(1, 60)))
def test_pieces_taken_through_a_window_are_the_source(data: bytes, sizes: list[int]) -> None:
    window, taken = ByteWindow(io.BytesIO(data)), b""
    for size in sizes:
        if window.require(size):
            taken += window.data[window.offset : window.offset + size]
            window.offset += size
    assert data.startswith(taken)
