"""Describe: the interpreter for people. A condition becomes a sentence for traces, findings and docs."""

from typing import assert_never

from firewall.net.address import Network
from firewall.ruleset.expression import (
    And,
    Atom,
    Call,
    Comparator,
    Comparison,
    Condition,
    Contains,
    Exists,
    Field,
    Item,
    Matches,
    Membership,
    Not,
    Operand,
    Or,
    Range,
    SetMembers,
    Slice,
    Value,
)
from firewall.ruleset.literal import string_text
from firewall.ruleset.text import value_text

# How people call the fields that rules name most; the others go by their name.
_PHRASES = {
    "dialog.state": "the dialog's state",
    "emergency.class": "the emergency class",
    "emergency.service": "the emergency service",
    "frame.len": "the frame's length",
    "malformed.reason": "the reason it is malformed",
    "net.addr": "source or destination",
    "net.dst": "the destination",
    "net.src": "the source",
    "sip": "SIP",
    "sip.CSeq.method": "the method in CSeq",
    "sip.Content-Length": "the Content-Length",
    "sip.Method": "the method",
    "sip.Status-Code": "the status code",
    "sip.User-Agent": "the User-Agent",
    "sip.anomaly": "an anomaly",
    "sip.from.host": "the caller's host",
    "sip.from.user": "the caller's user part",
    "sip.r-uri": "the Request-URI",
    "sip.r-uri.host": "the Request-URI's host",
    "sip.r-uri.user": "the Request-URI's user part",
    "sip.to.host": "the callee's host",
    "sip.to.user": "the callee's user part",
    "tcp.dstport": "the TCP destination port",
    "tcp.srcport": "the TCP source port",
    "udp.dstport": "the UDP destination port",
    "udp.srcport": "the UDP source port",
    "zone.dst": "the destination zone",
    "zone.src": "the source zone",
}
_FLAGS = {
    "emergency": ("it is an emergency call", "it is not an emergency call"),
    "malformed": ("it is malformed", "it is not malformed"),
    "media.negotiated": ("its media was negotiated", "its media was not negotiated"),
}
_COMPARATORS: dict[Comparator, str] = {
    "==": "",
    "!=": " something other than",
    ">": " above",
    ">=": " at least",
    "<": " below",
    "<=": " at most",
}


def describe(condition: Condition) -> str:
    """Return the condition as a sentence without its full stop: ``the method is INVITE and the source is not in …``."""
    match condition:
        case Not(inner):
            return _denied(inner)
        case And(parts):
            return " and ".join(_grouped(part) for part in parts)
        case Or(parts):
            return " or ".join(_grouped(part) for part in parts)
        case Comparison() | Membership() | Contains() | Matches() | Exists():
            return _relation(condition, holds=True)
    assert_never(condition)


def _denied(inner: Condition) -> str:
    match inner:
        case And() | Or() | Not():
            return f"not ({describe(inner)})"
        case Comparison() | Membership() | Contains() | Matches() | Exists():
            return _relation(inner, holds=False)
    assert_never(inner)


def _grouped(part: Condition) -> str:
    return f"({describe(part)})" if isinstance(part, And | Or) else describe(part)


def _relation(condition: Atom, *, holds: bool) -> str:
    verb = "is" if holds else "is not"
    match condition:
        case Comparison(Field(name), "==", True) if name in _FLAGS:
            return _FLAGS[name][0 if holds else 1]
        case Comparison(operand, comparator, value):
            inside = isinstance(value, Network) and value.first != value.last and comparator in ("==", "!=")
            return f"{_operand(operand)} {verb}{_COMPARATORS[comparator]}{' in' if inside else ''} {_value(value)}"
        case Membership(operand, items):
            return f"{_operand(operand)} {verb} {_items(items)}"
        case Contains(operand, text):
            return f"{_operand(operand)} {'contains' if holds else 'does not contain'} {string_text(text)}"
        case Matches(operand, regex):
            return f"{_operand(operand)} {'matches' if holds else 'does not match'} the regex {string_text(regex)}"
        case Exists(operand):
            return f"{_operand(operand)} is {'present' if holds else 'absent'}"
    assert_never(condition)


def _operand(operand: Operand) -> str:
    match operand:
        case Field(name, None):
            return _PHRASES.get(name, name)
        case Field(_, header):
            return f"the header {header}"
        case Slice(inner, start, None):
            return f"{_operand(inner)} from byte {start}"
        case Slice(inner, start, length):
            return f"{length} bytes from byte {start} of {_operand(inner)}"
        case Call("count", inner):
            return f"the number of {_operand(inner)}"
        case Call("len", inner):
            return f"the length of {_operand(inner)}"
        case Call(function, inner):
            return f"{_operand(inner)} in {function} case"
    assert_never(operand)


def _items(items: tuple[Item, ...]) -> str:
    match items:
        case (SetMembers(name),):
            return f"in set {name}"
        case (Network() as network,) if network.first != network.last:
            return f"in {network}"
        case (only,):
            return f"in {_item(only)}"
    *first, last = (_item(item) for item in items)
    return f"one of {', '.join(first)} or {last}"


def _item(item: Item) -> str:
    match item:
        case Range(low, high):
            return f"{_value(low)} to {_value(high)}"
        case SetMembers(name):
            return f"those in set {name}"
        case _:
            return _value(item)


def _value(value: Value) -> str:
    # A plain word reads better without quotes; anything else keeps them so that its ends are seen.
    return value if isinstance(value, str) and value.isascii() and value.isalnum() else value_text(value)
