"""The text of a policy and where its parts stand: keys, values, rules, comments. What edits and marks are made from."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from firewall.lint.finding import Edit, Mark

# To YAML a line break, to many editors none: where one stands, lines cannot be told apart safely.
_ODD_BREAK = re.compile("\r(?!\n)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping with its value, and which of the mapping's entries it is."""

    key: yaml.ScalarNode
    value: yaml.Node
    index: int


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment from its ``#`` to the end of its line. ``is_alone``: nothing but blanks stands before it."""

    start: int
    end: int
    line: int
    is_alone: bool
    text: str


class PolicySource:
    """The text of a policy that could be loaded. Offsets count characters, lines and columns begin with 1."""

    def __init__(self, text: str) -> None:
        """Read the text's structure.

        Raises:
            ValueError: it is no policy's text, or has line breaks that editors do not know.
        """
        if _ODD_BREAK.search(text):
            raise ValueError("a line break that is neither LF nor CRLF")
        try:
            root = yaml.compose(text, Loader=yaml.CSafeLoader)
        except yaml.YAMLError as error:
            raise ValueError(str(error)) from None
        if not isinstance(root, yaml.MappingNode):
            raise ValueError("no mapping of keys")
        self.text = text
        self.root = root
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._rules = {name.value: (number, node) for number, node, name in self._named_rules()}

    def _named_rules(self) -> Iterator[tuple[int, yaml.MappingNode, yaml.ScalarNode]]:
        rules = self.entry(self.root, "rules")
        if rules is None or not isinstance(rules.value, yaml.SequenceNode):
            return
        for number, node in enumerate(rules.value.value):
            name = self.entry(node, "name")
            if name is not None and isinstance(name.value, yaml.ScalarNode):
                yield number, node, name.value

    def entry(self, node: yaml.Node | None, *path: str) -> Entry | None:
        """Return the entry that a path of keys leads to, None where there is none."""
        found: Entry | None = None
        for wanted in path:
            if not isinstance(node, yaml.MappingNode):
                return None
            keyed = ((index, key, value) for index, (key, value) in enumerate(node.value))
            found = next((Entry(key, value, index) for index, key, value in keyed if key.value == wanted), None)
            if found is None:
                return None
            node = found.value
        return found

    def rule(self, name: str) -> yaml.MappingNode | None:
        """Return a rule's mapping."""
        return self._rules[name][1] if name in self._rules else None

    def rule_number(self, name: str) -> int | None:
        """Return which of the rules has a name, from 0."""
        return self._rules[name][0] if name in self._rules else None

    def scalar_at(self, line: int, column: int) -> yaml.ScalarNode | None:
        """Return the key or value that begins at a place."""
        wanted = self.offset(line, column)
        level: list[yaml.Node] = [self.root]
        while level:
            node = level.pop()
            if isinstance(node, yaml.ScalarNode) and start_of(node) == wanted:
                return node
            if isinstance(node, yaml.MappingNode):
                level += [part for pair in node.value for part in pair]
            elif isinstance(node, yaml.SequenceNode):
                level += node.value
        return None

    def end_of(self, node: yaml.Node) -> int:
        """Return where a node's last character stands, plus one; blanks and comments after it are not part of it."""
        while isinstance(node, yaml.MappingNode | yaml.SequenceNode) and not node.flow_style and node.value:
            last = node.value[-1]
            node = last[1] if isinstance(last, tuple) else last
        start, end = start_of(node), node.end_mark.index if node.end_mark is not None else 0
        return start + len(self.text[start:end].rstrip())

    def span(self, node: yaml.Node) -> tuple[int, int]:
        """Return where a node's text begins and ends; that of a block scalar begins on the line below."""
        start, end = start_of(node), self.end_of(node)
        if is_block(node):
            start = self.next_line(start)
            start += len(self.text[start:end]) - len(self.text[start:end].lstrip())
        return start, end

    def offset(self, line: int, column: int) -> int:
        """Return the offset of a place; of one that is not there, the end of its line or of the text."""
        if line > len(self._line_starts):
            return len(self.text)
        return min(self._line_starts[line - 1] + column - 1, self.line_end(self._line_starts[line - 1]))

    def position(self, offset: int) -> tuple[int, int]:
        """Return the line and column of an offset."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line_start(self, offset: int) -> int:
        """Return where the line of an offset begins."""
        return self._line_starts[bisect_right(self._line_starts, offset) - 1]

    def line_end(self, offset: int) -> int:
        """Return where the line of an offset ends, its line break not included."""
        end = self.text.find("\n", offset)
        end = len(self.text) if end < 0 else end
        return end - 1 if end > offset and self.text[end - 1] == "\r" else end

    def next_line(self, offset: int) -> int:
        """Return where the line behind that of an offset begins."""
        found = self.text.find("\n", offset)
        return len(self.text) if found < 0 else found + 1

    def edit(self, start: int, end: int, text: str) -> Edit:
        """Return the edit that puts a text in place of what stands from ``start`` to ``end``."""
        return Edit(*self.position(start), *self.position(end), text)

    def mark(self, start: int, end: int, label: str = "") -> Mark:
        """Return the mark of what stands from ``start`` to ``end``."""
        return Mark(*self.position(start), *self.position(end), label)

    def edited(self, edits: tuple[Edit, ...]) -> str:
        """Return the text with edits made; they do not overlap."""
        text = self.text
        for edit in sorted(edits, key=lambda each: (each.line, each.column), reverse=True):
            start, end = self.offset(edit.line, edit.column), self.offset(edit.end_line, edit.end_column)
            text = text[:start] + edit.text + text[end:]
        return text

    def comments(self) -> list[Comment]:
        """Return every comment; a ``#`` inside a quoted, plain or block scalar is none."""
        found: list[Comment] = []
        before = 0
        for token in yaml.scan(self.text, Loader=yaml.CSafeLoader):
            start = token.start_mark.index
            found += self._comments_between(before, start)
            if is_block(token):  # its lines have none, but the one it begins on may
                found += self._comments_between(start, self.line_end(start))
            before = max(before, token.end_mark.index)
        return [*found, *self._comments_between(before, len(self.text))]

    def _comments_between(self, start: int, end: int) -> Iterator[Comment]:
        at = self.text.find("#", start, end)
        while at >= 0:
            stop = self.line_end(at)
            line, column = self.position(at)
            is_alone = not self.text[at - column + 1 : at].strip()
            yield Comment(at, stop, line, is_alone, self.text[at:stop].rstrip())
            at = self.text.find("#", stop, end)


def is_block(part: yaml.Node | yaml.Token) -> bool:
    """Tell whether a node or token is a scalar on lines of its own, below ``|`` or ``>``."""
    return isinstance(part, yaml.ScalarNode | yaml.ScalarToken) and part.style in ("|", ">")


def start_of(node: yaml.Node) -> int:
    """Return where a node begins."""
    return int(node.start_mark.index) if node.start_mark is not None else 0
