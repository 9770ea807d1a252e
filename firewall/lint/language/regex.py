"""Reads a regex as RE2 does, into a tree that automata are built from (RE2 syntax, github.com/google/re2/wiki/Syntax).

Text is bytes, as Latin-1, the way ``ruleset.regex`` compiles it. What a single character class, escape or letter holds
is asked of RE2 itself, so that case folding and Unicode groups cannot differ; the reader's own work is the structure.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, assert_never

from firewall.lint.language.bounds import MAX_REGEX_NODES, UnmodelledError
from firewall.ruleset.literal import ExpressionError, bytes_text, text_bytes
from firewall.ruleset.regex import compile_regex

AssertionKind = Literal["text_begin", "text_end", "line_begin", "line_end", "word_boundary", "not_word_boundary"]


@dataclass(frozen=True, slots=True)
class Chars:
    """One byte of a set."""

    members: frozenset[int]


@dataclass(frozen=True, slots=True)
class Sequence:
    """Parts one after the other; none is the empty text."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the alternatives."""

    alternatives: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """``low`` to ``high`` times; None is without end. Greedy or not makes no difference to whether a text matches."""

    node: "Node"
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Assertion:
    """A place in the text, no byte of it: ``^ $ \\A \\z \\b \\B``."""

    kind: AssertionKind


@dataclass(frozen=True, slots=True)
class Group:
    """A named group, ``(?P<name>…)``."""

    name: str
    node: "Node"


Node = Chars | Sequence | Choice | Repeat | Assertion | Group


def parts_of(node: Node) -> tuple[Node, ...]:
    """Return the nodes right inside a node."""
    match node:
        case Group(_, inner) | Repeat(inner):
            return (inner,)
        case Sequence(parts) | Choice(parts):
            return parts
        case _:
            return ()


_REPEAT = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")
_ESCAPE = re.compile(r"\\(?:x\{[0-9A-Fa-f]+\}|x[0-9A-Fa-f]{2}|[pP]\{[^}]*\}|[pP].|[0-7]{1,3}|.)", re.DOTALL)
_GROUP = re.compile(r"\((?:\?P?<(\w+)>|\?([imsU]*)(?:-([imsU]+))?([:)]))")
_TYPED = b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ.@:-_ "
_ASSERTIONS: dict[str, AssertionKind] = {
    "\\A": "text_begin",
    "\\z": "text_end",
    "\\b": "word_boundary",
    "\\B": "not_word_boundary",
}


@dataclass(frozen=True, slots=True)
class _Flags:
    """``i`` fold case, ``m`` ^ and $ at lines, ``s`` dot takes a line feed; ``U`` changes nothing here."""

    fold: bool
    lines: bool = False
    dot_line_feed: bool = False


@lru_cache(maxsize=4096)
def read_regex(regex: str, *, fold: bool = True) -> Node:
    """Read a regex that RE2 accepts. Without ``fold`` letters are only themselves, as the package's own shapes want.

    Raises:
        UnmodelledError: a form this reader does not know, or more than ``MAX_REGEX_NODES`` parts.
    """
    latin = text_bytes(regex).decode("latin-1")
    reader = _Reader(latin)
    node = reader.choice(_Flags(fold))
    if not reader.at_end:
        raise UnmodelledError(f"a regex with an unexpected ) ({regex[:40]})")
    return node


def short_text(node: Node) -> bytes:
    """Return a short text that a regex is likely to fit: what it asserts, and its upper bounds, are not looked at."""
    match node:
        case Chars(members):
            typed = next((byte for byte in _TYPED if byte in members), min(members, default=None))
            return b"" if typed is None else bytes((typed,))
        case Sequence(parts):
            return b"".join(map(short_text, parts))
        case Choice(alternatives):
            return short_text(alternatives[0])
        case Repeat(inner, low, _):
            return short_text(inner) * low
        case Assertion():
            return b""
        case Group(_, inner):
            return short_text(inner)
        case _:
            assert_never(node)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._nodes = 0

    @property
    def at_end(self) -> bool:
        return self._at >= len(self._text)

    def choice(self, flags: _Flags) -> Node:
        """Alternatives up to ``)`` or the end; a flag group ``(?i)`` holds to the end of its own group."""
        alternatives: list[Node] = []
        parts: list[Node] = []
        while not self.at_end and self._text[self._at] != ")":
            if self._text[self._at] == "|":
                self._at += 1
                alternatives.append(Sequence(tuple(parts)))
                parts = []
                continue
            new_flags = self._flag_group(flags)
            if new_flags is not None:
                flags = new_flags
                # An operator behind it repeats what stands before it, as RE2 has it.
                parts[-1:] = self._repeated(parts[-1:])
                continue
            parts += self._repeated(self._atoms(flags))
        alternatives.append(Sequence(tuple(parts)))
        return alternatives[0] if len(alternatives) == 1 else Choice(tuple(alternatives))

    def _flag_group(self, flags: _Flags) -> _Flags | None:
        match = _GROUP.match(self._text, self._at)
        if match is None or match[4] != ")":
            return None
        self._at = match.end()
        return _with_flags(flags, match[2], match[3] or "")

    def _atoms(self, flags: _Flags) -> list[Node]:
        """The next atom; the letters of a ``\\Q…\\E`` are several, of which an operator behind takes the last."""
        self._nodes += 1
        if self._nodes > MAX_REGEX_NODES:
            raise UnmodelledError(f"a regex of more than {MAX_REGEX_NODES} parts")
        text, start = self._text, self._at
        char = text[start]
        if char == "(":
            return [self._group(flags)]
        if char == "[":
            self._at = _class_end(text, start)
            return [Chars(_members(text[start : self._at], flags.fold, flags.dot_line_feed))]
        if char == "\\":
            return self._escape(flags)
        self._at += 1
        match char:
            case "^":
                return [Assertion("line_begin" if flags.lines else "text_begin")]
            case "$":
                return [Assertion("line_end" if flags.lines else "text_end")]
            case ".":
                return [Chars(_members(".", flags.fold, flags.dot_line_feed))]
            case _:
                return [_letter(char, flags)]

    def _group(self, flags: _Flags) -> Node:
        match = _GROUP.match(self._text, self._at)
        name = None
        if match is None:
            if self._text.startswith("(?", self._at):
                raise UnmodelledError(f"a regex with {self._text[self._at : self._at + 4]}")
            self._at += 1
        else:
            self._at = match.end()
            name = match[1]
            if name is None:
                flags = _with_flags(flags, match[2], match[3] or "")
        inner = self.choice(flags)
        if self.at_end:
            raise UnmodelledError("a regex with a missing )")
        self._at += 1
        return Group(name, inner) if name is not None else inner

    def _escape(self, flags: _Flags) -> list[Node]:
        text, start = self._text, self._at
        if text.startswith("\\Q", start):
            end = text.find("\\E", start + 2)
            quoted = text[start + 2 : end if end >= 0 else len(text)]
            self._at = end + 2 if end >= 0 else len(text)
            return [_letter(char, flags) for char in quoted]
        match = _ESCAPE.match(text, start)
        if match is None:
            raise UnmodelledError("a regex that ends in a backslash")
        self._at = match.end()
        kind = _ASSERTIONS.get(match[0])
        if kind is not None:
            return [Assertion(kind)]
        return [Chars(_members(match[0], flags.fold, flags.dot_line_feed))]

    def _repeated(self, atoms: list[Node]) -> list[Node]:
        if not atoms:
            return []
        node = atoms[-1]
        while not self.at_end:
            times = self._times()
            if times is None:
                break
            if self._text.startswith("?", self._at):
                self._at += 1
            node = Repeat(node, *times)
        return [*atoms[:-1], node]

    def _times(self) -> tuple[int, int | None] | None:
        char = self._text[self._at]
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if char in simple:
            self._at += 1
            return simple[char]
        match = _REPEAT.match(self._text, self._at) if char == "{" else None
        if match is None:
            return None
        self._at = match.end()
        low = int(match[1])
        if match[2] is None:
            return low, low
        return low, int(match[3]) if match[3] else None


def _with_flags(flags: _Flags, on: str, off: str) -> _Flags:
    def state(letter: str, now: bool) -> bool:
        return letter in on or (now and letter not in off)

    return _Flags(state("i", flags.fold), state("m", flags.lines), state("s", flags.dot_line_feed))


@lru_cache(maxsize=4096)
def _letter(char: str, flags: _Flags) -> Chars:
    if flags.fold and char.isascii() and char.isalpha():
        return Chars(frozenset((ord(char.lower()), ord(char.upper()))))
    return Chars(frozenset((ord(char),)))


def _class_end(text: str, start: int) -> int:
    """Where the bracket expression that begins here ends: a ``]`` that stands first is a member."""
    at = start + 1
    if text.startswith("^", at):
        at += 1
    first = True
    while at < len(text):
        if text[at] == "]" and not first:
            return at + 1
        first = False
        if text.startswith("[:", at) and (end := text.find(":]", at + 2)) >= 0:
            at = end + 2
        elif text[at] == "\\" and (match := _ESCAPE.match(text, at)) is not None:
            at = match.end()
        else:
            at += 1
    raise UnmodelledError("a regex with a missing ]")


@lru_cache(maxsize=4096)
def _members(written: str, fold: bool, dot_line_feed: bool) -> frozenset[int]:
    """The bytes that a class, an escape or ``.`` stands for: RE2's own answer for each byte."""
    flags = f"{'i' if fold else ''}{'s' if dot_line_feed else ''}-U{'' if fold else 'i'}{'' if dot_line_feed else 's'}"
    asked = bytes_text(f"(?{flags}:{written})".encode("latin-1"))
    try:
        fullmatch = compile_regex(asked).fullmatch
    except ExpressionError as error:
        raise UnmodelledError(f"a regex with {written[:20]}") from error
    return frozenset(byte for byte in range(256) if fullmatch(bytes((byte,))) is not None)
