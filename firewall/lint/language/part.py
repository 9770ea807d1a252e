"""Fields that read a part of what another reads, as it stands there: the user of From's URI, and From.

What every value of the part contains, the whole contains too.
"""

from dataclasses import replace

from firewall.lint.language.bounds import UnmodelledError
from firewall.lint.language.regex import Assertion, Node, parts_of, read_regex
from firewall.ruleset.expression import Atom, Call, Contains, Field, Matches
from firewall.ruleset.sip_fields import ADDRESS_HEADERS

_START_LINE = "sip.Request-Line"

WHOLES: dict[str, tuple[str, ...]] = {
    "sip.Method": (_START_LINE,),
    "sip.r-uri": (_START_LINE,),
    **{f"sip.r-uri.{part}": ("sip.r-uri", _START_LINE) for part in ("user", "host", "param")},
    **{
        f"{prefix}.{part}": (f"{prefix}.{uri}", f"sip.{header}")
        for prefix, header, uri in ADDRESS_HEADERS
        for part in ("user", "host", "param")
    },
    **{
        f"{prefix}.{part}": (f"sip.{header}",)
        for prefix, header, uri in ADDRESS_HEADERS
        for part in (uri, "display.info")
    },
}
"""The fields whose value holds each value of a field, byte for byte.

A port is no part: it is written as a number again.
"""


def of_part(atom: Atom, part: Field) -> Atom | None:
    """Return the condition on a part that makes a condition on the whole true; None where that is not simply told."""
    match atom:
        case Contains(Field() as whole, text) if not _is_blank_read(whole, text):
            return replace(atom, operand=part)
        case Contains(Call("lower" | "upper", Field() as whole) as call, text) if not _is_blank_read(whole, text):
            return replace(atom, operand=replace(call, operand=part))
        case Matches(Field() as whole, regex) if whole.name != _START_LINE and _is_found_anywhere(regex):
            return replace(atom, operand=part)
        case _:
            return None


def _is_blank_read(whole: Field, text: str) -> bool:
    """A tab of the start line is a blank in the parts of it."""
    return whole.name == _START_LINE and (" " in text or "\t" in text)


def _is_found_anywhere(regex: str) -> bool:
    try:
        return not _asserts(read_regex(regex))
    except UnmodelledError:
        return False


def _asserts(node: Node) -> bool:
    return isinstance(node, Assertion) or any(map(_asserts, parts_of(node)))
