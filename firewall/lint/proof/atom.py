"""The atoms of rules: conditions without ``and``, ``or``, ``not``, each about one thing a packet has.

``normal`` takes apart what looks at both ends of a packet (``ip.addr``, ``udp.port``); ``subject`` says which line,
or which kind of theory, an atom belongs to.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from operator import eq, ge, gt, le, lt, ne
from typing import Literal, assert_never

from firewall.lint.proof.line import IPV4_END, LineName
from firewall.net.address import IPV4_FIRST, Network
from firewall.ruleset.expression import (
    And,
    Atom,
    Call,
    Comparison,
    Condition,
    Contains,
    Exists,
    Field,
    Matches,
    Membership,
    Not,
    Or,
    Range,
    SetMembers,
    base_field,
)

Subject = LineName | Literal["zone_src", "zone_dst", "transport", "own", "text"]

_BOTH_ENDS = {
    "ip.addr": ("ip.src", "ip.dst"),
    "ipv6.addr": ("ipv6.src", "ipv6.dst"),
    "net.addr": ("net.src", "net.dst"),
    "udp.port": ("udp.srcport", "udp.dstport"),
    "tcp.port": ("tcp.srcport", "tcp.dstport"),
}
_SUBJECTS: dict[str, Subject] = {
    "ip": "src",
    "ipv6": "src",
    "ip.src": "src",
    "ipv6.src": "src",
    "net.src": "src",
    "ip.dst": "dst",
    "ipv6.dst": "dst",
    "net.dst": "dst",
    "udp.srcport": "sport",
    "tcp.srcport": "sport",
    "udp.dstport": "dport",
    "tcp.dstport": "dport",
    "frame.len": "frame_len",
    "udp": "transport",
    "tcp": "transport",
    "zone.src": "zone_src",
    "zone.dst": "zone_dst",
}
_OWN_TEXTS = frozenset({"sip.anomaly", "sip.Method", "sip.CSeq.method"})
"""Fields of a message's text that are given with the step of a call, not chosen by whoever sends it."""
_COMPARE = {"==": eq, "!=": ne, ">": gt, ">=": ge, "<": lt, "<=": le}
_ALWAYS = Exists(Field("frame"))


def normal(condition: Condition) -> Condition:
    """Return an equivalent condition in which every atom looks at one end of the packet only."""
    match condition:
        case Not(inner):
            return Not(normal(inner))
        case And(conditions):
            return And(tuple(normal(each) for each in conditions))
        case Or(conditions):
            return Or(tuple(normal(each) for each in conditions))
        case Comparison() | Membership() | Contains() | Matches() | Exists():
            ends = _BOTH_ENDS.get(base_field(condition.operand).name)
            return condition if ends is None else _one_ended(condition, ends)
        case _:
            assert_never(condition)


def _one_ended(atom: Atom, ends: tuple[str, str]) -> Condition:
    if isinstance(atom, Exists):
        return Exists(Field(ends[0]))
    if isinstance(atom.operand, Call) and isinstance(atom, Comparison) and isinstance(atom.value, int):
        # count(): both ends are there or neither is.
        is_two = _COMPARE[atom.comparator](2, atom.value)
        return Exists(Field(ends[0])) if is_two else Not(_ALWAYS)
    both = tuple(replace(atom, operand=Field(end)) for end in ends)
    is_all = isinstance(atom, Comparison) and atom.comparator == "!="
    return And(both) if is_all else Or(both)


def subject(atom: Atom) -> Subject:
    """Return what an atom is about."""
    name = base_field(atom.operand).name
    known = _SUBJECTS.get(name)
    if known is not None:
        return known
    is_text = name.startswith(("sip.", "sdp.")) or name == "sdp" or (name == "sip" and not isinstance(atom, Exists))
    return "text" if is_text and name not in _OWN_TEXTS else "own"


def cuts(atom: Atom) -> Iterator[int]:
    """Yield the numbers at which an atom about a line may change: the first of each piece."""
    for value in _values(atom):
        match value:
            case Network(first, last):
                yield first
                yield last + 1
            case bool() | str():
                pass
            case int():
                yield value
                yield value + 1
            case Range(int() as low, int() as high):
                yield low
                yield high + 1
            case SetMembers(_, tuple() as networks):
                for network in networks:
                    yield network.first
                    yield network.last + 1
            case _:
                pass
    if subject(atom) in ("src", "dst"):
        yield IPV4_FIRST
        yield IPV4_END


def _values(atom: Atom) -> Iterable[object]:
    match atom:
        case Comparison(_, _, value):
            return (value,)
        case Membership(_, items):
            return items
        case Contains() | Matches() | Exists():
            return ()
        case _:
            assert_never(atom)
