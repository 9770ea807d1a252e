"""Literals of expressions: from their text to a value, and back."""

import re
from typing import Final

from firewall.net.address import Network, address_number, family

_HEX = frozenset("0123456789abcdefABCDEF")
_OCTAL = frozenset("01234567")
_SIMPLE_ESCAPES: Final = {
    '"': b'"', "'": b"'", "\\": b"\\", "a": b"\a", "b": b"\b", "f": b"\f", "n": b"\n", "r": b"\r", "t": b"\t",
    "v": b"\v",
}  # fmt: skip
_MAX_SLICE = 0xFFFF
_NUMBER = re.compile(r"[+-]?(?:0[xX][0-9A-Fa-f]+|[0-9]+)")
TRUE_WORDS = frozenset({"true", "True", "TRUE", "1"})
FALSE_WORDS = frozenset({"false", "False", "FALSE", "0"})


class ExpressionError(Exception):
    """A mistake in an expression: the cause, the next step, and at which character of the text it stands."""

    def __init__(self, cause: str, next_step: str | None = None, offset: int = 0) -> None:
        super().__init__(cause)
        self.cause = cause
        self.next_step = next_step
        self.offset = offset

    def moved(self, by: int) -> "ExpressionError":
        """Return the same mistake, its place counted from ``by`` characters earlier."""
        return ExpressionError(self.cause, self.next_step, self.offset + by)


def text_bytes(text: str) -> bytes:
    """Return the bytes that a text has, or had, on the wire."""
    return text.encode("utf-8", "surrogateescape")


def bytes_text(data: bytes) -> str:
    """Return bytes of the wire as a text, from which ``text_bytes`` makes the same: what is no UTF-8 is kept, too."""
    return data.decode("utf-8", "surrogateescape")


def read_string(token: str) -> str:
    r"""Read ``"text"`` with Wireshark's escapes: ``\" \' \\ \a \b \f \n \r \t \v \xhh \ooo \uhhhh \Uhhhhhhhh``.

    ``\xhh`` and ``\ooo`` are bytes; what is no UTF-8 after that is kept by surrogateescape.

    Raises:
        ExpressionError: an escape that is none.
    """
    out = bytearray()
    index = 1
    while index < len(token) - 1:
        char = token[index]
        if char != "\\":
            out += text_bytes(char)
            index += 1
            continue
        piece, length = _read_escape(token, index)
        out += piece
        index += length
    return bytes_text(bytes(out))


def _read_escape(token: str, index: int) -> tuple[bytes, int]:
    kind = token[index + 1]
    if kind in _SIMPLE_ESCAPES:
        return _SIMPLE_ESCAPES[kind], 2
    if kind == "x":
        digits = _digits(token, index + 2, 2, _HEX)
        if digits:
            return bytes([int(digits, 16)]), 2 + len(digits)
    if kind in _OCTAL:
        digits = _digits(token, index + 1, 3, _OCTAL)
        if int(digits, 8) <= 0xFF:
            return bytes([int(digits, 8)]), 1 + len(digits)
    if kind in "uU":
        digits = _digits(token, index + 2, 4 if kind == "u" else 8, _HEX)
        if len(digits) == (4 if kind == "u" else 8) and _is_scalar_value(int(digits, 16)):
            return chr(int(digits, 16)).encode("utf-8"), 2 + len(digits)
    raise ExpressionError(
        f'"\\{kind}" is no escape in a string',
        f'write \\\\{kind} for a backslash, or a raw string r"..."',
        index,
    )


def _digits(token: str, start: int, most: int, allowed: frozenset[str]) -> str:
    end = start
    while end < min(start + most, len(token) - 1) and token[end] in allowed:
        end += 1
    return token[start:end]


def _is_scalar_value(code_point: int) -> bool:
    return code_point <= 0x10FFFF and not 0xD800 <= code_point <= 0xDFFF


def string_text(text: str) -> str:
    """Write a string literal that ``read_string`` reads back to the same text."""
    out = ['"']
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char.isprintable() and not 0xDC80 <= ord(char) <= 0xDCFF:
            out.append(char)
        else:
            out += [f"\\x{byte:02x}" for byte in text_bytes(char)]
    return "".join(out) + '"'


def read_number(token: str) -> int:
    """Read a decimal or hexadecimal number.

    Raises:
        ExpressionError: it is neither, is negative, or begins with 0 (which Wireshark reads as octal).
    """
    if _NUMBER.fullmatch(token) is None:
        raise ExpressionError(f'"{token}" is not a number', "write it in decimal or as 0x…")
    if token.startswith("-"):
        raise ExpressionError(f'"{token}" is negative; no field has such values')
    digits = token.removeprefix("+")
    if len(digits) > 20:
        raise ExpressionError(f'"{token[:24]}…" is beyond every field\'s range')
    if digits[:2].lower() == "0x":
        return int(digits, 16)
    if len(digits) > 1 and digits.startswith("0"):
        raise ExpressionError(
            f'"{token}" begins with 0, which Wireshark reads as octal', f'write "{digits.lstrip("0") or "0"}"'
        )
    return int(digits)


def read_address_range(low: str, high: str) -> Network:
    """Read ``low..high``, both single addresses of one family.

    Raises:
        ExpressionError: they are not, or stand the wrong way round.
    """
    numbers = []
    for token in (low, high):
        try:
            numbers.append(address_number(token))
        except ValueError:
            raise ExpressionError(f'"{token}" is not an address', "write a range of single addresses") from None
    first, last = numbers
    if family(first) != family(last):
        raise ExpressionError(f'the range "{low}..{high}" begins in one address family and ends in the other')
    if first > last:
        raise ExpressionError(f'the range "{low}..{high}" is reversed', f'write "{high}..{low}"')
    return Network(first, last)


def read_slice(token: str) -> tuple[int, int | None]:
    """Read ``[offset:length] [first-last] [offset] [offset:] [:length]`` as start and length (wireshark-filter(4)).

    Raises:
        ExpressionError: it is none of these, or holds nothing.
    """
    text = "".join(token[1:-1].split())
    if "," in text:
        raise ExpressionError("a slice of several parts is not supported", "use one comparison for each part")
    try:
        start, length = _slice_bounds(text)
    except ValueError:
        raise ExpressionError(f'"{token}" is not a slice', "write [offset:length] or [first-last]") from None
    if length is not None and length <= 0:
        raise ExpressionError(f"the slice {token} is empty or reversed")
    if abs(start) > _MAX_SLICE or (length or 0) > _MAX_SLICE:
        raise ExpressionError(f"the slice {token} is beyond any message")
    if start < 0 and length is not None and start + length > 0:
        raise ExpressionError(f"the slice {token} goes beyond the end of the text")
    return start, length


def _slice_bounds(text: str) -> tuple[int, int | None]:
    start_text, colon, length_text = text.partition(":")
    if colon:
        return int(start_text or "0"), int(length_text) if length_text else None
    sign, rest = ("-", text[1:]) if text.startswith("-") else ("", text)
    first_text, dash, last_text = rest.partition("-")
    start = int(sign + first_text)
    if not dash:
        return start, 1
    last = int(last_text)
    if (start < 0) != (last < 0):
        raise ExpressionError(f"the slice [{text}] mixes both ends of the text", "use [offset:length]")
    return start, last - start + 1
