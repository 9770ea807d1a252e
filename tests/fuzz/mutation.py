"""Mutations of a corpus without coverage guidance: for `make check`, and for `make fuzz` where atheris is missing."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

CORPUS = Path(__file__).parent / "corpus"
_MAX_BYTES = 65_535
_DICTIONARY = (
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n", b" ", b"\t", b"\r\n ", b"\0", b"\xff",
    b'"', b"\\", b"<", b">", b";", b",", b":", b"@", b"?", b"=", b"%00", b"%39%31%31", b"[", b"]", b"::",
    b"SIP/2.0", b" SIP/2.0\r\n", b"INVITE ", b"Content-Length: ", b"l:", b"Content-Length: 0\r\n", b"Via: ",
    b"v: SIP/2.0/UDP h;branch=z9hG4bK", b"tag=", b"CSeq: 1 INVITE\r\n", b"To: ", b"4294967296", b"-1", b"9" * 40,
    b"--b", b"--b--", b"\r\n--b\r\n", b"Content-Type: ", b"multipart/mixed;boundary=b",
    b"m=audio 1 RTP/AVP 0\r\n", b"c=IN IP4 192.0.2.1\r\n", b"a=rtcp:", b"urn:service:sos", b"sip:911@", b"tel:911",
)  # fmt: skip


def seeds(target: str) -> list[bytes]:
    """Return the committed corpus of a target, in the order of the file names."""
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]


def mutations(corpus: Sequence[bytes], seed: int) -> Iterator[bytes]:
    """Yield mutations of a corpus without end; the same seed gives the same ones."""
    random = Random(seed)
    while True:
        data = bytearray(random.choice(corpus))
        for _ in range(random.choice((1, 1, 2, 4, 16))):
            at = random.randint(0, len(data))
            match random.randrange(6):
                case 0:
                    data[at : at + 1] = bytes([random.randrange(256)])
                case 1:
                    data[at:at] = random.choice(_DICTIONARY)
                case 2:
                    del data[at : at + random.choice((1, 2, 8, 64))]
                case 3:
                    piece = data[at : at + random.choice((1, 4, 32))]
                    data[at:at] = piece * random.choice((1, 2, 50))
                case 4:
                    other = random.choice(corpus)
                    start = random.randint(0, len(other))
                    data[at:at] = other[start : start + random.choice((4, 40, 400))]
                case _:
                    del data[at:]
        yield bytes(data[:_MAX_BYTES])
