"""Which files are captures, and what is said of those that are none."""

import gzip
import io
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.errors import CaptureError
from firewall.net.capture import read_capture
from firewall.net.capture_record import CaptureRecord, Cut, Unreadable
from firewall.net.pcap import PCAP_MAGICS
from firewall.net.vantage import LINUX_SLL, LINUX_SLL2
from tests.net.packets import (
    enhanced,
    ethernet,
    frames_of,
    interface,
    ipv4,
    pcap,
    read_all,
    read_to_the_end,
    section,
    udp,
)

FRAME = ethernet(ipv4(udp(b"OPTIONS sip:psap.example SIP/2.0\r\n\r\n")))
PCAP = pcap([FRAME, FRAME])
PCAPNG = section() + interface() + enhanced(FRAME, 1) + enhanced(FRAME, 2)


@pytest.mark.parametrize("data", [PCAP, PCAPNG], ids=["pcap", "pcapng"])
def test_a_capture_is_known_by_its_first_bytes(data: bytes) -> None:
    assert [frame.data for frame in read_all(data) if isinstance(frame, CaptureRecord)] == [FRAME, FRAME]


def test_which_captures_show_one_place_alone_is_known_before_their_frames() -> None:
    captures = {link: pcap([FRAME], link_type=link) for link in (1, 101, LINUX_SLL, LINUX_SLL2)}
    known = {link: read_capture(io.BytesIO(data), "").is_of_one_place for link, data in captures.items()}
    assert known == {1: True, 101: True, LINUX_SLL: False, LINUX_SLL2: False}
    assert not read_capture(io.BytesIO(PCAPNG), "").is_of_one_place, "an interface may come later"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "the file is empty, not a capture"),
        (b"rules:\n  - name: calls\n", "the file is a text file, not a capture"),
        ("Notruf über Zürich, 説明\n".encode() * 40, "the file is a text file, not a capture"),
        (b"snoop\0\0\0" + bytes(40), "the file is a snoop capture, not a pcap or pcapng capture"),
        (gzip.compress(PCAP), "the file is compressed with gzip twice, not a pcap or pcapng capture"),
        (b"\x28\xb5\x2f\xfd" + bytes(40), "the file is compressed with zstd, not a pcap or pcapng capture"),
        (b"PK\x03\x04" + bytes(40), "the file is a zip archive, not a pcap or pcapng capture"),
        (b"\x00\x01\x02\xff", "the file is not a pcap or pcapng capture: it begins with the bytes 00 01 02 ff"),
        (b"\xd4\xc3", "the file is not a pcap or pcapng capture: it begins with the bytes d4 c3"),
    ],
)
def test_what_is_no_capture_is_named_in_one_sentence_with_the_next_step(data: bytes, sentence: str) -> None:
    with pytest.raises(CaptureError) as raised:
        read_all(data, "calls.pcap")
    assert raised.value.cause == sentence
    assert str(raised.value).startswith(f"calls.pcap: error: {sentence}; ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", ["5views", "ngsniffer", "ngwsniffer_2_0", "netmon2", "snoop", "visual"])
def test_a_capture_in_another_format_is_told_with_what_converts_it(tmp_path: Path, kind: str) -> None:
    plain, other = tmp_path / "plain.pcap", tmp_path / "other"
    plain.write_bytes(PCAP)
    subprocess.run(["editcap", "-F", kind, plain, other], check=True)
    with pytest.raises(CaptureError, match=r"not a pcap or pcapng capture.*; .*editcap -F pcap IN OUT"):
        read_all(other.read_bytes())
    subprocess.run(["editcap", "-F", "pcap", other, plain], check=True)
    assert [frame.data for frame in frames_of(plain.read_bytes())] == [FRAME, FRAME]


class Dripping:
    """A source that gives one byte at a time, as a slow pipe may."""

    def __init__(self, data: bytes) -> None:
        self._source = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        return self._source.read(min(size, 1))


@pytest.mark.parametrize("data", [PCAP, PCAPNG, PCAP[:-3], PCAPNG[:-3]])
def test_a_slow_source_gives_the_same_frames(data: bytes) -> None:
    assert read_to_the_end(read_capture(Dripping(data), "pipe")) == read_all(data)


MAGICS = [*PCAP_MAGICS, section()[:12], section(">")[:12], section() + interface(), b""]


@given(st.sampled_from(MAGICS), st.binary(max_size=400))
def test_any_bytes_give_frames_losses_and_at_most_one_cut_or_a_capture_error(magic: bytes, rest: bytes) -> None:
    _reads_or_refuses(magic + rest)


@given(
    st.sampled_from([PCAP, PCAPNG, pcap([FRAME], order=">"), PCAPNG + PCAPNG]),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=8),
    st.integers(0, 400),
)
def test_a_damaged_capture_gives_frames_losses_and_at_most_one_cut(
    data: bytes, damage: list[tuple[int, int]], end: int
) -> None:
    damaged = bytearray(data)
    for place, value in damage:
        damaged[place % len(damaged)] = value
    _reads_or_refuses(bytes(damaged[:end] if end else damaged))


def _reads_or_refuses(data: bytes) -> None:
    try:
        read = read_all(data)
    except CaptureError as error:
        assert "\n" not in str(error)  # noqa: PT017 (either outcome is right; what is asked of each differs)
        return
    numbers = [item.packet if isinstance(item, Unreadable) else item.frame_number for item in read]
    # Damage may make an interface or a clock of its own out of any frame: order is the matter of test_order.py.
    assert sorted(numbers) == list(range(1, len(read) + 1))
    assert not any(isinstance(item, Cut) for item in read[:-1])
    assert all(isinstance(item, Unreadable) or item.timestamp_ns >= 0 for item in read)
