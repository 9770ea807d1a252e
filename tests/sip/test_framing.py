"""Messages cut out of a TCP stream: RFC 3261 §18.3, RFC 5626 §4.4.1."""

import random
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.sip.framing import Framer, Piece
from firewall.sip.limits import MAX_MESSAGE_BYTES
from firewall.sip.message import parse_message
from tests.messages import SDP, request, response

INVITE = request(body=SDP, headers=("Content-Type: application/sdp",))
OK = response(request())
BYE = request("BYE", to_tag="psap", cseq=2)


def pieces(*segments: bytes) -> list[Piece]:
    framer = Framer()
    handed_out = [piece for segment in segments for piece in framer.feed(segment)]
    return handed_out + framer.flush()


def kinds(*segments: bytes) -> list[tuple[str, bytes]]:
    return [(piece.kind, piece.data) for piece in pieces(*segments)]


def joined_junk(handed_out: list[Piece]) -> list[tuple[str, bytes]]:
    """Pieces with neighbouring junk made one: that of a lost stream is handed out as it comes."""
    joined: list[tuple[str, bytes]] = []
    for piece in handed_out:
        if joined and piece.kind == "junk" == joined[-1][0]:
            joined[-1] = ("junk", joined[-1][1] + piece.data)
        else:
            joined.append((piece.kind, piece.data))
    return joined


def is_ever_lost(stream: bytes) -> bool:
    framer = Framer()
    return any(framer.lost for byte in stream if framer.feed(bytes([byte])) is not None)


def with_lengths(*values: str, body: bytes = b"") -> bytes:
    lines = "".join(f"Content-Length: {value}\r\n" for value in values)
    return request().replace(b"Content-Length: 0\r\n", lines.encode()) + body


def test_pipelined_messages_come_out_one_by_one() -> None:
    assert kinds(INVITE + OK + BYE) == [("message", INVITE), ("message", OK), ("message", BYE)]


def test_one_byte_at_a_time_gives_the_same_messages() -> None:
    stream = INVITE + b"\r\n\r\n" + OK
    expected = [("message", INVITE), ("keep_alive", b"\r\n"), ("keep_alive", b"\r\n"), ("message", OK)]
    assert kinds(*(stream[i : i + 1] for i in range(len(stream)))) == expected


def test_an_empty_line_ends_the_head_also_where_a_folded_line_follows() -> None:
    stream = b"BYE sip:a@b SIP/2.0\r\nSubject: a\n\n b\r\nContent-Length: 0\r\n\r\n"
    whole = pieces(stream)
    assert whole[0] == Piece("message", b"BYE sip:a@b SIP/2.0\r\nSubject: a\n\n")
    assert whole == pieces(*(bytes([byte]) for byte in stream))


def test_a_message_is_handed_out_with_its_last_byte_and_not_before() -> None:
    framer = Framer()
    assert framer.feed(INVITE[:-1]) == []
    assert framer.pending == len(INVITE) - 1
    assert framer.feed(INVITE[-1:]) == [Piece("message", INVITE)]
    assert framer.pending == 0


def test_a_pong_does_not_wait_for_more() -> None:
    assert Framer().feed(b"\r\n") == [Piece("keep_alive", b"\r\n")]


def test_every_kind_of_line_end_keeps_alive() -> None:
    assert kinds(b"\r\n", b"\n", b"\r", b"\r\n" + BYE) == [
        ("keep_alive", b"\r\n"),
        ("keep_alive", b"\n"),
        ("keep_alive", b"\r"),
        ("keep_alive", b"\r\n"),
        ("message", BYE),
    ]


def test_the_body_counts_in_bytes_and_may_hold_anything() -> None:
    body = "Ü\r\n\r\nINVITE sip:a@b SIP/2.0\r\n\r\n".encode()
    message = with_lengths(str(len(body)), body=body)
    assert kinds(message + BYE) == [("message", message), ("message", BYE)]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_the_compact_and_the_folded_form_count(line_end: str) -> None:
    head = line_end.join(["MESSAGE sip:a@b SIP/2.0", "L :", " 3", "Call-ID: x", "", ""]).encode()
    assert kinds(head + b"abc" + BYE) == [("message", head + b"abc"), ("message", BYE)]


def test_without_content_length_the_message_ends_with_its_head() -> None:
    message = with_lengths()
    assert kinds(message + BYE) == [("message", message), ("message", BYE)]


def test_what_a_short_content_length_leaves_over_is_junk_up_to_the_next_message() -> None:
    short = with_lengths("3", body=b"v=0")
    rest = b"\r\no=- 1 1 IN IP4 192.0.2.10\r\nINVITE without a version\r\n"
    assert kinds(short + rest + BYE) == [
        ("message", short),
        ("keep_alive", b"\r\n"),
        ("junk", b"o=- 1 1 IN IP4 192.0.2.10\r\n"),
        ("junk", b"INVITE without a version\r\n"),
        ("message", BYE),
    ]


@pytest.mark.parametrize("rest", [b"a=rtpmap:0 PCMU/8000", b"\xff" * 5000, b"</presence>", b"hello world "])
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_message_right_behind_junk_without_a_line_end_is_not_lost(rest: bytes, size: int) -> None:
    stream = OK + rest + INVITE + BYE
    expected = [("message", OK), ("junk", rest), ("message", INVITE), ("message", BYE)]
    handed_out = pieces(*(stream[at : at + size] for at in range(0, len(stream), size)))
    assert joined_junk(handed_out) == expected


@pytest.mark.parametrize("lengths", [("0", "60"), ("-1",), ("0x10",), ("5, 5",), ("70000",), ("9" * 5000,), ("",)])
def test_behind_a_length_that_nobody_can_be_sure_of_the_next_start_line_begins_a_message(
    lengths: tuple[str, ...],
) -> None:
    framer = Framer()
    head = with_lengths(*lengths)
    body = b"v=0\r\n"
    assert framer.feed(head + body + BYE) == [Piece("message", head), Piece("junk", body), Piece("message", BYE)]
    assert not framer.lost


def test_equal_lengths_agree() -> None:
    message = with_lengths("2", "2", body=b"hi")
    assert kinds(message + BYE) == [("message", message), ("message", BYE)]


TLS = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(0x80, 0x100)) + b"\n\r\n\x00ab"
ENDLESS_HEAD = b"BYE sip:a@b SIP/2.0\r\n" + b"A: b\r\n" * 20_000
JUNK = [b"\x00", TLS, b"\x00\x01\x00\x00!\x12\xa4B", b"A" * 9000, ENDLESS_HEAD, b"\x01INVI\x00INVITE nobody\nACK "]


@pytest.mark.parametrize("junk", JUNK)
def test_what_is_no_sip_is_handed_out_and_the_next_start_line_begins_a_message_again(junk: bytes) -> None:
    framer = Framer()
    assert joined_junk(framer.feed(junk + INVITE + OK)) == [("junk", junk), ("message", INVITE), ("message", OK)]
    assert not framer.lost
    assert framer.feed(b"\r\n") == [Piece("keep_alive", b"\r\n")]


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_a_message_behind_junk_is_whole_however_it_is_cut(junk: bytes, size: int) -> None:
    stream = junk + INVITE + BYE
    cut = pieces(*(stream[at : at + size] for at in range(0, len(stream), size)))
    assert joined_junk(cut) == [("junk", junk), ("message", INVITE), ("message", BYE)]


def test_tls_without_end_is_handed_out_as_it_comes_in_one_piece_for_each_segment() -> None:
    framer = Framer()
    source = random.Random(1)
    record = b"\x17\x03\x03\x05\xa8" + source.randbytes(1448)
    for _ in range(200):
        (piece,) = framer.feed(record)
        assert (piece.kind, framer.lost) == ("junk", True)
        assert framer.pending < len(b"SUBSCRIBE ")
        record = b"\x17\x03\x03\x05\xa8" + source.randbytes(1448)


def test_behind_junk_only_what_may_begin_a_message_waits_and_can_be_released() -> None:
    framer = Framer()
    assert framer.feed(b"\x16\x03\x01OPT") == [Piece("junk", b"\x16\x03\x01")]
    assert framer.release() == [Piece("junk", b"OPT")]
    assert framer.pending == 0
    assert joined_junk(framer.feed(b"x" + BYE)) == [("junk", b"x"), ("message", BYE)]
    assert framer.release() == []


WITHOUT_LENGTH = re.sub(rb"Content-Length: \d+\r\n", b"", INVITE)


def test_a_body_without_content_length_goes_on_to_the_next_start_line() -> None:
    framer = Framer()
    assert framer.feed(WITHOUT_LENGTH) == []
    assert framer.has_open_body
    assert framer.feed(OK) == [Piece("message", WITHOUT_LENGTH), Piece("message", OK)]
    assert not framer.has_open_body


def test_a_body_without_content_length_ends_where_the_sender_is_quiet() -> None:
    framer = Framer()
    for at in range(0, len(WITHOUT_LENGTH), 5):
        assert framer.feed(WITHOUT_LENGTH[at : at + 5]) == []
    assert framer.release() == [Piece("message", WITHOUT_LENGTH)]
    assert framer.feed(BYE) == [Piece("message", BYE)]


def test_a_head_that_waits_for_its_end_is_not_released() -> None:
    framer = Framer()
    framer.feed(INVITE[:100])
    assert framer.release() == []
    assert framer.feed(INVITE[100:]) == [Piece("message", INVITE)]


def test_a_body_without_end_is_a_message_of_the_largest_size_and_the_rest_is_junk() -> None:
    body = b"m=audio 1 RTP/AVP 0\r\n" * 5000
    stream = WITHOUT_LENGTH + body
    expected = [("message", stream[:MAX_MESSAGE_BYTES]), ("junk", stream[MAX_MESSAGE_BYTES:]), ("message", BYE)]
    assert joined_junk(pieces(stream + BYE)) == expected
    assert joined_junk(pieces(*(stream[at : at + 999] for at in range(0, len(stream), 999)), BYE)) == expected


def test_a_message_cut_by_the_end_of_the_stream_is_still_handed_out() -> None:
    assert kinds(INVITE[:-9]) == [("message", INVITE[:-9])]
    assert kinds(INVITE[:60]) == [("message", INVITE[:60])]
    assert kinds(b"INVITE sip:") == [("junk", b"INVITE sip:")]
    assert kinds(b"\r") == [("keep_alive", b"\r")]


def test_the_largest_message_passes_and_one_more_byte_does_not() -> None:
    head = len(with_lengths("60000"))
    fits = with_lengths(str(MAX_MESSAGE_BYTES - head), body=b"x" * (MAX_MESSAGE_BYTES - head))
    assert kinds(fits) == [("message", fits)]
    assert Framer().feed(with_lengths(str(MAX_MESSAGE_BYTES - head + 1)))[0].kind == "message"


FRAGMENTS = st.sampled_from(
    [
        INVITE,
        OK,
        BYE,
        INVITE.replace(b"\r\n", b"\n"),
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"\n\r\n",
        b"\x00",
        b"SIP/2.0 200 OK\r\n",
        b"BYE sip:a@b SIP/2.0\n",
        b"l: 4\r\n",
        b"l:\r\n\t7\r\n",
        b"Content-Length: 1\r\n",
        b"Content-Length : 0\r\n\r\n",
        b"Subject: content-length: 0\r\n",
        b"content-length: 0\r\n 1\r\n\r\n",
        b"junk\r\n",
        WITHOUT_LENGTH,
        TLS,
        b"INVI",
        b"SUBSCRIBE\t",
        b"c: text/plain\r\n",
        b"BYE sip:a@b SIP/2.0\rl: 4\r\n",
        b"\r\n\r\nabcd",
        b"Subject: a\n\n b\r\n",
    ]
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    stream = bytearray(b"".join(draw(st.lists(st.one_of(FRAGMENTS, st.binary(max_size=8)), max_size=8))))
    for _ in range(draw(st.integers(0, 3)) if stream else 0):
        stream[draw(st.integers(0, len(stream) - 1))] = draw(st.integers(0, 255))
    return bytes(stream)


@given(streams(), st.data())
def test_any_cutting_gives_the_same_pieces_and_loses_no_byte(stream: bytes, data: st.DataObject) -> None:
    whole = pieces(stream)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    cut = pieces(*(stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)))
    assert joined_junk(cut) == joined_junk(whole) == joined_junk(pieces(*(bytes([byte]) for byte in stream)))
    assert b"".join(piece.data for piece in cut) == stream
    if not is_ever_lost(stream):
        assert [(p.kind, p.data) for p in cut] == [(p.kind, p.data) for p in whole]


@given(streams(), st.integers(1, 3))
def test_asked_for_a_few_at_a_time_the_pieces_are_the_same(stream: bytes, most: int) -> None:
    framer = Framer()
    handed_out = framer.feed(stream, most)
    while more := framer.more(most):
        assert len(more) <= most + 1
        handed_out += more
    handed_out += framer.flush()
    assert joined_junk(handed_out) == joined_junk(pieces(stream))
    assert b"".join(piece.data for piece in handed_out) == stream


@given(streams())
def test_a_message_piece_is_one_that_the_parser_reads_alike(stream: bytes) -> None:
    framer = Framer()
    for piece in framer.feed(stream):
        # Behind a CR in the start line the parser reads headers, to tell the method; no stream is cut by those.
        if piece.kind == "message" and b"\r" not in piece.data.partition(b"\n")[0].removesuffix(b"\r"):
            assert "content_length_short" not in parse_message(piece.data).anomalies


@pytest.mark.parametrize(
    "stream",
    [
        b"\r\n" * 32_000,
        BYE * 200,
        b"BYE sip:a@b SIP/2.0\r\n" + b"a\n\r" * 20_000,
        b"BYE sip:a@b SIP/2.0\r\n" + b"Content-Length:\r\n " * 4_000,
        b"BYE sip:a@b SIP/2.0\r\nContent-Length: 60000\r\n\r\n" + b"\n" * 60_000,
        b"x\n" * 32_000,
        b"\x00" * 64_000,
        b"\x00" + b"INVITE " * 9_000,
        b"\x00" + b"INVITE x\n" * 7_000,
        b"BYE sip:a@b SIP/2.0\r\nc: a\r\n\r\n" + b"SIP/\n" * 13_000,
    ],
)
def test_a_byte_at_a_time_costs_no_more_than_linear_time(stream: bytes) -> None:
    """64 KB in single bytes: quadratic work would take minutes."""
    framer = Framer()
    begun_s = time.process_time()
    for index in range(len(stream)):
        framer.feed(stream[index : index + 1])
    assert time.process_time() - begun_s < 5
