"""YAML as plain nodes with places: no implicit types, no aliases, no tags, bounded depth.

Nodes are made from the parser's events, so nothing recurses with the depth of the text and an alias is refused where
it stands. Every mistake is a ``PolicyError`` with its place.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

import yaml

from firewall.errors import Place, fail

MAX_POLICY_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 16

# YAML 1.2 §5.1, c-printable; and what of it is ASCII, as policies are. Left out: the byte order mark inside the text,
# and what libyaml takes for a line break (as YAML 1.1 did) and no editor does: a rule could hide behind a comment.
_PRINTABLE = "\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff"
_UNPRINTABLE_ASCII = re.compile("[^\t\n\r\x20-\x7e]")


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar's text as written, whatever it looks like. ``raw`` is its part of the file, ``style`` its quoting."""

    text: str
    place: Place
    style: str | None
    raw: str

    def locate(self, offset: int) -> Place:
        """Return the place in the file of the n-th character of the text.

        Text and raw text are walked along together. White space is where they differ (folding, indentation), and the
        escapes of quotes; everything else must agree. If it does not, the beginning of the scalar is named.
        """
        positions, place = list(self._positions()), self.place
        before = self.text[:offset]
        visible = len("".join(before.split()))
        if visible < len(positions):
            wanted = positions[visible]
        elif visible == len(positions) > 0:  # behind the last one
            wanted = positions[-1] + 1 + len(before) - len(before.rstrip())
        else:
            return place
        lead = self.raw[:wanted]
        if place.line is None or place.column is None or "\n" not in lead:
            return Place(place.file, place.line, place.column and place.column + wanted)
        return Place(place.file, place.line + lead.count("\n"), len(lead) - lead.rfind("\n"))

    def _positions(self) -> Iterator[int]:
        """Yield the index in ``raw`` of each visible character of ``text``, as long as both agree."""
        raw = self.raw
        index = 0 if self.style is None else 1 if self.style in "\"'" else max(raw.find("\n"), 0)
        for char in self.text:
            if char.isspace():
                continue
            while index < len(raw) and raw[index].isspace():
                index += 1
            yield index
            if raw[index : index + 1] == char and not (self.style == '"' and char == "\\"):
                index += 2 if self.style == "'" and char == "'" else 1
            elif self.style == '"' and raw[index : index + 1] == "\\":
                index += {"x": 4, "u": 6, "U": 10}.get(raw[index + 1 : index + 2], 2)
            else:
                return


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list of nodes."""

    items: tuple["Node", ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values in the order of the file; no key twice."""

    entries: tuple[tuple[Scalar, "Node"], ...]
    place: Place


Node = Scalar | Sequence | Mapping


def read_yaml(data: bytes, *, file: str) -> Node:
    """Read the one document of a YAML file.

    Raises:
        PolicyError: the file is too large, empty, no text, no YAML, or uses more of YAML than a policy needs.
    """
    if len(data) > MAX_POLICY_BYTES:
        cause = f"the file is larger than a policy may be, {MAX_POLICY_BYTES // 1024 // 1024} MiB"
        fail(Place(file), cause, "put long lists into set files")
    text = read_text(data, file, _unprintable, "a policy is a YAML file in UTF-8")
    composer = _Composer(text, file)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            composer.take(event)
    except yaml.MarkedYAMLError as error:
        _refuse(error, file, text)
    except yaml.YAMLError as error:
        fail(Place(file), f"not YAML: {_first_line(error)}")
    if composer.root is None:
        fail(Place(file), "the policy is empty", "begin with rules/examples/minimal.yaml")
    return composer.root


def _unprintable(text: str) -> re.Match[str] | None:
    # The whole is compiled only where it is needed: that takes as long as to read a policy.
    return (_UNPRINTABLE_ASCII if text.isascii() else re.compile(f"[^{_PRINTABLE}]")).search(text)


def read_text(data: bytes, file: str, find_bad: Callable[[str], re.Match[str] | None], next_step: str) -> str:
    """Return the text of a file, without a byte order mark; ``find_bad`` finds what is in no text of its kind.

    Raises:
        PolicyError: it is no text, with its place.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        cause, before = f"byte 0x{data[error.start]:02x} is no UTF-8", data[: error.start].decode("utf-8-sig")
    else:
        bad = find_bad(text)
        if bad is None:
            return text
        cause, before = f"it holds the control character U+{ord(bad[0]):04X}", text[: bad.start()]
    fail(_end_of(before, file), f"not a text file: {cause}", next_step)


def _end_of(text: str, file: str) -> Place:
    return Place(file, text.count("\n") + 1, len(text) - text.rfind("\n"))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:120]


def _refuse(error: yaml.MarkedYAMLError, file: str, text: str) -> NoReturn:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or _first_line(error)
    place = _end_of(text[: mark.index], file) if mark is not None else Place(file)
    is_tab = mark is not None and text[mark.index : mark.index + 1] == "\t" and "cannot start any token" in problem
    if is_tab or "tab character" in problem:
        fail(place, "a tab cannot indent YAML", "use spaces")
    said = f"not YAML: {problem} {error.context or ''}".rstrip()
    begins = error.context_mark
    if begins is not None and begins.line + 1 < (place.line or 0):
        said += f", which begins at line {begins.line + 1}"
    advice = (each for cause, each in _SYNTAX_ADVICE.items() if cause in problem)
    fail(place, said, next(advice, "mind indentation, brackets and quotes"))


_SYNTAX_ADVICE = {
    "mapping values are not allowed": 'mind the indentation and the blank behind each colon; quote what holds ": "',
    "could not find expected ':'": "write a colon and a blank behind each key, no no-break space",
    "did not find expected key": 'mind the indentation; in double quotes write \\" for ", or use single quotes',
    "cannot start any token": "put the value into quotes",
    "unexpected end of stream": "close the quotes",
    "expected ',' or": "close the bracket, or put an expression with brackets in it into quotes",
    "incompatible YAML document": "remove the line",
}


class _Composer:
    """Takes the parser's events one by one; ``root`` is the finished document."""

    def __init__(self, text: str, file: str) -> None:
        self.root: Node | None = None
        self._text = text
        self._file = file
        self._documents = 0
        # One frame for each open collection: its place, and the nodes in it so far (of a mapping: keys and values).
        self._open: list[tuple[bool, Place, list[Node]]] = []

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._refuse_properties(event)
            self._add(Scalar(event.value, self._place(event), event.style or None, self._raw(event)))
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._refuse_properties(event)
            if len(self._open) >= MAX_DEPTH:
                fail(self._place(event), f"nested deeper than {MAX_DEPTH} levels", "a policy needs no such nesting")
            self._open.append((isinstance(event, yaml.MappingStartEvent), self._place(event), []))
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            is_mapping, place, nodes = self._open.pop()
            self._add(_mapping(nodes, place) if is_mapping else Sequence(tuple(nodes), place))
        elif isinstance(event, yaml.AliasEvent):
            cause = f'the alias "*{event.anchor}" is not part of the policy language'
            fail(self._place(event), cause, "write the value out")
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                fail(self._place(event), "a second document begins here", "one file is one policy")

    def _place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        return Place(self._file, mark.line + 1, mark.column + 1) if mark is not None else Place(self._file)

    def _raw(self, event: yaml.Event) -> str:
        if event.start_mark is None or event.end_mark is None:
            return ""
        return self._text[event.start_mark.index : event.end_mark.index]

    def _refuse_properties(self, event: yaml.NodeEvent) -> None:
        anchor: str | None = event.anchor
        tag: str | None = getattr(event, "tag", None)
        if anchor is not None:
            what, next_step = f'the anchor "&{anchor}" is', "remove it"
        elif tag is None:
            return
        elif tag.startswith("!"):  # an expression that begins with a negation, of which YAML would leave nothing
            what, next_step = (
                'to YAML a "!" at the beginning is a tag, which is',
                "write not, or put all of it into quotes",
            )
        else:
            what, next_step = f'the tag "{tag}" is', "remove it"
        fail(self._place(event), f"{what} not part of the policy language", next_step)

    def _add(self, node: Node) -> None:
        if not self._open:
            self.root = node
            return
        is_mapping, _, nodes = self._open[-1]
        if is_mapping and len(nodes) % 2 == 0 and not isinstance(node, Scalar):
            fail(node.place, "a key must be a plain word", "write key: value")
        nodes.append(node)


def _mapping(nodes: list[Node], place: Place) -> Mapping:
    entries: list[tuple[Scalar, Node]] = []
    seen: dict[str, Place] = {}
    for key, value in zip(nodes[::2], nodes[1::2], strict=True):
        if not isinstance(key, Scalar):
            raise TypeError(f"keys are scalars, not {key!r}")
        if key.text in seen:
            cause = f'duplicate key "{key.text}"; it is already at line {seen[key.text].line}'
            fail(key.place, cause, "keep one of them")
        seen[key.text] = key.place
        entries.append((key, value))
    return Mapping(tuple(entries), place)
