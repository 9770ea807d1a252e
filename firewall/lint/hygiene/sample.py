"""A message made for a condition, quickly: it spares most rules the question whether any message reaches them.

Nothing depends on a sample being found, or being one that a network would carry: the evaluator says whether it meets
the condition, and a rule without one is asked about in the formula.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import assert_never

from msgspec import structs

from firewall.engine.reasons import REASONS
from firewall.errors import SipSyntaxError
from firewall.lint.endpoint import interfaces_of
from firewall.lint.language.bounds import UnmodelledError
from firewall.lint.language.value import text_matching, text_meeting
from firewall.lint.proof.atom import normal, subject
from firewall.lint.proof.world import SERVICE_URN
from firewall.net.address import Network, address_text, family
from firewall.net.datagram import Datagram, Transport
from firewall.ruleset.emergency import Recogniser, recogniser
from firewall.ruleset.expression import (
    And,
    Atom,
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
from firewall.ruleset.facts import DialogState, EmergencyClass, EmergencyMark, Facts
from firewall.ruleset.fields import FIELDS
from firewall.ruleset.literal import bytes_text, text_bytes
from firewall.ruleset.policy import Policy, Zone
from firewall.ruleset.zones import zone_finder
from firewall.sip.message import parse_message

OUTSIDE = {4: "126.77.88.99", 6: "2a0e:7788::99"}
"""Addresses that policies seldom name."""


@dataclass(slots=True)
class _Wanted:
    """What a message must have for the atoms read so far."""

    numbers: dict[str, int] = field(default_factory=dict)
    zones: dict[str, str] = field(default_factory=dict)
    texts: dict[Field, str] = field(default_factory=dict)
    transport: Transport = "UDP"
    family: int | None = None
    is_emergency: bool | None = None
    emergency_class: EmergencyClass = "call"
    service: str = "urn:service:sos"
    dialog_state: DialogState = "none"
    malformed: str | None = None
    is_message: bool = True
    media_negotiated: bool = False


_PLAIN: tuple[Callable[[], _Wanted], ...] = (
    _Wanted,
    lambda: _Wanted({"sport": 34567, "dport": 5062, "frame_len": 2345}, texts={Field("sip.Method"): "INVITE"}),
    lambda: _Wanted(transport="TCP", is_emergency=True, dialog_state="confirmed"),
    lambda: _Wanted(is_message=False, malformed="not_sip"),
)


class Sampler:
    """Makes messages for one policy's conditions."""

    def __init__(self, policy: Policy) -> None:
        self._zones = {zone.name: zone for zone in policy.zones}
        self._find = zone_finder(policy.zones)
        self._recognise: Recogniser = recogniser(policy.emergency)

    def made_for(self, condition: Condition | None) -> Iterator[Facts]:
        """Yield messages that are likely to meet a condition; none where none is easily made.

        They differ in what the condition leaves open: a rule that takes one need not take the next.
        """
        for plain in _PLAIN:
            wanted = plain()
            if condition is not None and not self._add(wanted, normal(condition)):
                return
            try:
                made = self._facts(wanted)
            except SipSyntaxError:  # a condition may ask for what no message has, as `sip.Status-Code == 99`
                continue
            yield made

    def moved(self, facts: Facts, src_ip: str, in_iface: str | None) -> Facts:
        """Return the same message as it comes from another address by an interface, with what is then known of it."""
        old = facts.datagram
        dst_ip = old.dst_ip if (":" in old.dst_ip) == (":" in src_ip) else OUTSIDE[6 if ":" in src_ip else 4]
        return structs.replace(
            facts,
            datagram=structs.replace(old, src_ip=src_ip, dst_ip=dst_ip, in_iface=in_iface),
            zone_src=self._find((src_ip, in_iface)),
            zone_dst=self._find((dst_ip, None)),
            emergency=self._recognise(facts.message) if facts.message is not None else None,
        )

    def _add(self, wanted: _Wanted, condition: Condition) -> bool:
        match condition:
            case And(conditions):
                return all(self._add(wanted, each) for each in conditions)
            case Or(conditions):
                return self._add(wanted, conditions[0])
            case Not():
                return True
            case Comparison() | Membership() | Contains() | Matches() | Exists():
                return self._add_atom(wanted, condition)
            case _:
                assert_never(condition)

    def _add_atom(self, wanted: _Wanted, atom: Atom) -> bool:
        about = subject(atom)
        match about:
            case "src" | "dst" | "sport" | "dport" | "frame_len":
                number, read = _number(atom), base_field(atom.operand).name
                most = FIELDS[read].maximum
                if number is not None and most is not None and not 0 <= number <= most:
                    return False  # no packet has such a port or length
                if number is not None:
                    wanted.numbers[about] = number
                if read.startswith("tcp"):
                    wanted.transport = "TCP"
                if read.startswith("ip"):
                    wanted.family = 6 if read.startswith("ipv6") else 4
                return number is not None or isinstance(atom, Exists)
            case "zone_src" | "zone_dst":
                name = _text(atom)
                if name is not None:
                    wanted.zones[about] = name
                return name is not None or isinstance(atom, Exists)
            case "transport":
                wanted.transport = "TCP" if base_field(atom.operand).name == "tcp" else "UDP"
                return True
            case "own" | "text":
                return self._add_fact(wanted, atom)
            case _:
                assert_never(about)

    def _add_fact(self, wanted: _Wanted, atom: Atom) -> bool:
        read = base_field(atom.operand)
        if FIELDS[read.name].type == "flag":
            match read.name:
                case "emergency":
                    wanted.is_emergency = True
                case "malformed":
                    wanted.malformed, wanted.is_message = "not_sip", False
                case "media.negotiated":
                    wanted.media_negotiated = True
                case _:
                    return False
            return True
        text, choices = _text(atom), FIELDS[read.name].choices
        if text is None or (choices is not None and text not in choices):
            return False
        match read.name:
            case "emergency.class":
                wanted.is_emergency = True
                wanted.emergency_class = text  # type: ignore[assignment] # one of its choices
            case "emergency.service":
                wanted.is_emergency, wanted.service = True, text
                return re.fullmatch(SERVICE_URN, text) is not None
            case "dialog.state":
                wanted.dialog_state = text  # type: ignore[assignment] # one of its choices
            case "malformed.reason":
                wanted.malformed, wanted.is_message = text, False
                return text in REASONS
            case _:
                wanted.texts[read] = text
        return True

    def _facts(self, wanted: _Wanted) -> Facts:
        datagram = self._datagram(wanted)
        message = parse_message(datagram.payload) if wanted.is_message else None
        mark = self._recognise(message) if message is not None else None
        if wanted.is_emergency:
            mark = EmergencyMark(wanted.emergency_class, wanted.service, ())
        return Facts(
            datagram,
            message,
            wanted.malformed,
            self._find((datagram.src_ip, datagram.in_iface)),
            self._find((datagram.dst_ip, None)),
            mark,
            wanted.dialog_state,
            wanted.media_negotiated,
        )

    def _datagram(self, wanted: _Wanted) -> Datagram:
        source, destination = (self._zones.get(wanted.zones.get(name, "")) for name in ("zone_src", "zone_dst"))
        known = wanted.numbers.get("src", wanted.numbers.get("dst"))
        wanted_family = family(known) if known is not None else wanted.family or _first_family(source, destination)
        return Datagram(
            _address(wanted.numbers.get("src"), source, wanted_family),
            wanted.numbers.get("sport", 5060),
            _address(wanted.numbers.get("dst"), destination, wanted_family),
            wanted.numbers.get("dport", 5060),
            _payload(wanted) if wanted.is_message else b"no SIP",
            wanted.transport,
            interfaces_of(source, self._zones.values())[0],
            frame_bytes=wanted.numbers.get("frame_len"),
        )


def _first_family(*zones: Zone | None) -> int:
    return next((family(zone.networks[0].first) for zone in zones if zone is not None and zone.networks), 4)


def _address(number: int | None, zone: Zone | None, wanted_family: int) -> str:
    if number is not None:
        return address_text(number)
    networks = zone.networks if zone is not None else ()
    for network in networks:
        if family(network.first) == wanted_family:
            return address_text(min(network.first + 77, network.last))
    return OUTSIDE[wanted_family]


def _number(atom: Atom) -> int | None:
    """Return a number for which an atom about an address, a port or a length is likely to hold."""
    match atom:
        case Comparison(_, "==", Network(first, last)):
            return _inside(first, last)
        case Comparison(_, "==" | ">=" | "<=", int() as number):
            return number
        case Comparison(_, ">", int() as number):
            return number + 1
        case Comparison(_, "<", int() as number):
            return number - 1
        case Membership(_, items):
            match items[0]:
                case Network(first, last) | SetMembers(_, (Network(first, last), *_)) | Range(int(first), int(last)):
                    return _inside(first, last)
                case int() as number:
                    return number
                case _:
                    return None
        case _:
            return None


def _inside(first: int, last: int) -> int:
    return first if last - first < 3 else first + 1


def _text(atom: Atom) -> str | None:
    """Return a text of which an atom holds, None where there is none or it is not quickly found."""
    try:
        match atom:
            case Contains(Field(), text):
                return text
            case Exists():
                return "x"
            case Matches(Field(), regex):
                found = text_matching(regex)
            case _:
                found = text_meeting([atom], [])
    except UnmodelledError:
        return None
    return bytes_text(found) if found is not None else None


def _payload(wanted: _Wanted) -> bytes:
    texts = {each.name if each.header is None else f"sip.{each.header}": text for each, text in wanted.texts.items()}

    def uri(prefix: str, whole: str) -> str:
        user = texts.pop(f"{prefix}.user", "sample")
        host = texts.pop(f"{prefix}.host", "sample.example")
        return texts.pop(whole, f"sip:{user}@{host}")

    method = texts.pop("sip.Method", "X-SAMPLE")
    target, caller, called = (
        uri("sip.r-uri", "sip.r-uri"),
        uri("sip.from", "sip.from.addr"),
        uri("sip.to", "sip.to.addr"),
    )
    status = texts.pop("sip.Status-Code", None)
    if status is not None and not status.isdigit():
        status = "200"  # the condition asks for any
    start_line = f"{method} {target} SIP/2.0" if status is None else f"SIP/2.0 {status} Sample"
    lines = {
        "Via": "SIP/2.0/UDP sample.example;branch=z9hG4bKsample",
        "From": f"<{caller}>;tag=sample",
        "To": f"<{called}>",
        "Call-ID": "sample",
        "CSeq": f"1 {texts.pop('sip.CSeq.method', method)}",
    }
    lines.update({name.removeprefix("sip."): text for name, text in texts.items()})
    head = "".join(f"{name}: {text}\r\n" for name, text in lines.items())
    return text_bytes(f"{start_line}\r\n{head}\r\n")
