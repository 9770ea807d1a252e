"""Every key of a policy: what it means and what it takes, one table for the loader and the JSON Schema."""

import re
from typing import TypeVar, get_args

from firewall.errors import fail, shown
from firewall.net.address import Network
from firewall.net.datagram import MAX_PORT
from firewall.net.media_port import FIRST_MEDIA_PORT
from firewall.net.signalling import SIP_PORT
from firewall.ruleset.fields import FIELDS, HEADER_FIELD, field_advice
from firewall.ruleset.kind import (
    DURATION_NS,
    NAME,
    TEXT,
    WORD,
    Key,
    Keys,
    Kind,
    Schema,
    Section,
    choice,
    entries,
    integer,
    list_of,
    matching,
    named_schema,
    nanoseconds,
    object_schema,
    of_text,
    scalar,
    section,
    unread,
)
from firewall.ruleset.literal import ExpressionError
from firewall.ruleset.policy import (
    DEFAULT_NUMBERS,
    ExceptionPolicies,
    ExceptionVerdict,
    Flow,
    Guard,
    Inspect,
    Limit,
    MediaEarly,
    MediaMode,
    MediaNat,
    MediaPolicy,
    MediaSource,
    MustVerdict,
    Surge,
    Verdict,
    Zone,
)
from firewall.ruleset.schedule import DAYS
from firewall.ruleset.yaml_nodes import Node, Scalar, Sequence

T = TypeVar("T")

# Linux: dev_valid_name(); and what nft can quote: it has no escapes, and a * at the end is a wildcard.
_INTERFACE = re.compile(r'(?!\.{1,2}\Z)[^\s"*\\/:{}\0-\x1f\x7f]+')
_MAX_INTERFACE_BYTES = 15
_MAX_CALL_RATE = 1_000_000
_MAX_BURST = 1_000_000_000


def _interface(text: str) -> str | None:
    is_one = _INTERFACE.fullmatch(text) is not None and len(text.encode()) <= _MAX_INTERFACE_BYTES
    return text if is_one else None


def _port_range(found: re.Match[str]) -> tuple[int, int]:
    first, last = int(found[1]), int(found[2])
    if first > last:
        raise ExpressionError(f"ports {found[0]} is reversed", f"write it as {last}-{first}")
    if first < FIRST_MEDIA_PORT or last > MAX_PORT:
        raise ExpressionError(f"ports {found[0]} is outside {FIRST_MEDIA_PORT}-{MAX_PORT}, where media is")
    return first, last


def _hours(found: re.Match[str]) -> tuple[int, int]:
    start_s = _second_of_day(int(found[1]), int(found[2]), latest=23)
    end_s = _second_of_day(int(found[3]), int(found[4]), latest=24)
    if start_s == end_s:
        cause = f"hours {found[0]} begin and end at the same time"
        raise ExpressionError(cause, "leave hours out for the whole day")
    return start_s, end_s


def _second_of_day(hour: int, minute: int, *, latest: int) -> int:
    if hour > latest or (hour == 24 and minute):
        raise ExpressionError(f"{hour:02}:{minute:02} is no time of day", "use 00:00 to 23:59 (an end may be 24:00)")
    return hour * 3600 + minute * 60


def _per(node: Node, what: str) -> tuple[str, ...]:
    fields = [scalar(item, what) for item in (node.items if isinstance(node, Sequence) else (node,))]
    for field in fields:
        if field.text not in FIELDS or field.text == HEADER_FIELD:
            fail(field.place, f'{what}: unknown field "{shown(field.text)}"', field_advice(field.text))
    return tuple(dict.fromkeys(field.text for field in fields))


_PORT = integer(1, MAX_PORT)
_NETWORK = of_text(Network.parse, "", "write it as 192.0.2.0/24 or 2001:db8::/32", TEXT.schema)
_NUMBER = matching(
    "[+]?[0-9*#]{1,32}",
    lambda found: found[0],
    '{what}: "{text}" is no number to dial',
    "use at most 32 digits, *, # and a leading +",
    type=["string", "integer"],
    minimum=0,
)


def _each_once(found: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(found))


ZONE_KEYS: Keys = {
    "interfaces": Key(
        "Interfaces its packets come in by; none: any interface.",
        list_of(
            of_text(
                _interface,
                '"{text}" cannot be the name of an interface',
                "name each as ip link does, without wildcards",
                WORD.schema,
            ),
            "an interface",
            stated="name them, or leave it out for any interface",
        ),
    ),
    "networks": Key(
        "IPv4 and IPv6 networks its addresses are in; none: any address.",
        list_of(_NETWORK, "a network", stated="name them, or leave it out for any address"),
    ),
    "on_daemon_down": Key(
        "What the kernel does with its signalling while the daemon is down; default bypass.",
        choice(("bypass", "block")),
    ),
}
SET_KEYS: Keys = {
    "file": Key("A list file, its path relative to the policy: one entry per line, # begins a comment.", WORD),
    "networks": Key("IPv4 and IPv6 networks.", list_of(_NETWORK, "a network")),
    "values": Key("Texts, compared exactly.", list_of(WORD, "a value")),
}
SURGE_KEYS: Keys = {
    "calls_per_second": Key("Emergency calls per second in all.", integer(1, _MAX_CALL_RATE), is_required=True),
    "per_source": Key("Emergency calls per second from one source.", integer(1, _MAX_CALL_RATE), is_required=True),
}


def _surge(found: Section) -> Surge:
    surge = Surge(**found.values())
    if surge.per_source > surge.calls_per_second:
        cause = f"per_source {surge.per_source} is more than calls_per_second {surge.calls_per_second} in all"
        fail(found.key_place("per_source"), cause)
    return surge


_USUAL_NUMBERS = " and ".join(DEFAULT_NUMBERS)
EMERGENCY_KEYS: Keys = {
    "numbers": Key(
        'Numbers that reach emergency services; default ["911", "112"].',
        list_of(_NUMBER, stated=f"name them, write [] for none, or leave it out for {_USUAL_NUMBERS}").into(_each_once),
    ),
    "test_numbers": Key("Numbers for test calls.", list_of(_NUMBER).into(_each_once)),
    "dial_prefixes": Key("Prefixes with which the numbers may be dialled, too.", list_of(_NUMBER).into(_each_once)),
    "from": Key(
        "Zones in which emergency calls begin; default all.",
        list_of(WORD, "a zone", some="leave it out for all zones"),
        called="emergency.from",
    ),
    "to": Key(
        "Zones in which they are answered; default all.",
        list_of(WORD, "a zone", some="leave it out for all zones"),
        called="emergency.to",
    ),
    "flows": Key(
        "What must always pass; default voice to keepalive.",
        list_of(choice(get_args(Flow)), "a flow", some="leave it out for the usual ones").into(_each_once),
        called="emergency.flows",
    ),
    "surge": Key("The mass-casualty load that no limit may cut into.", section("surge", SURGE_KEYS, _surge)),
    "guard": Key(
        "What happens when a rule would block emergency traffic: pass and alarm, alarm, nothing.",
        choice(get_args(Guard)),
    ),
}
_EXCEPTION = choice(get_args(ExceptionVerdict))
EXCEPTION_KEYS: Keys = {
    "malformed": Key("Signalling that is no SIP message; default drop.", _EXCEPTION),
    "table_full": Key("No room for another call; default allow.", _EXCEPTION),
    "internal_error": Key("A fault of the firewall itself; default allow.", _EXCEPTION),
    "log_unwritable": Key("The decision log cannot be written; default allow.", _EXCEPTION),
}
LIMIT_KEYS: Keys = {
    "rate": Key(
        "Messages per time, as 30/2s (units ms s m h).",
        matching(
            "([1-9][0-9]{0,8})/([1-9][0-9]{0,8})(ms|s|m|h)",
            lambda found: (int(found[1]), nanoseconds(found[2], found[3]), found[0]),
            'rate "{text}" is no rate',
            "write it as 30/2s or 100/1m (units ms s m h)",
        ),
        is_required=True,
    ),
    "burst": Key("How many fit at once; default the count of the rate.", integer(1, _MAX_BURST)),
    "per": Key(
        "The field, or fields, whose values are counted apart; default all together.",
        Kind(_per, {"anyOf": [TEXT.schema, {"type": "array", "items": TEXT.schema}]}),
    ),
}


def _limit(found: Section) -> Limit:
    count, period_ns, text = found.get("rate")
    burst, per = found.get("burst", count), found.get("per", ())
    text += f" per {', '.join(per)}" if per else ""
    return Limit(count, period_ns, burst, per, text if burst == count else f"{text}, burst {burst}")


SCHEDULE_KEYS: Keys = {
    "days": Key(
        "Days on which it begins; default all.",
        list_of(choice(DAYS), "a day", some="leave it out for every day").into(lambda d: frozenset(map(DAYS.index, d))),
    ),
    "hours": Key(
        "Hours as HH:MM-HH:MM, over midnight when the end is earlier; default the whole day.",
        matching(
            "([0-2][0-9]):([0-5][0-9])-([0-2][0-9]):([0-5][0-9])",
            _hours,
            'hours "{text}" are no range',
            'write them as "22:00-06:00"',
        ),
    ),
    "timezone": Key("IANA name of the time zone.", TEXT, is_required=True),
}
RULE_KEYS: Keys = {
    "name": Key("Its name, once in a policy.", NAME, is_required=True),
    "when": Key("The expression; without it the rule matches everything.", TEXT),
    "action": Key("What happens to what matches.", choice(get_args(Verdict))),
    "status": Key("SIP status of a reject; default 403.", integer(300, 699)),
    "ban": Key("How long the source of a drop stays banned, as 10m.", DURATION_NS),
    "limit": Key("The rule matches only above this rate.", section("limit", LIMIT_KEYS, _limit)),
    "schedule": Key("The rule matches only at these times.", unread(object_schema(SCHEDULE_KEYS))),
    "inspect": Key(
        "Which packets of the media flows it may decide on are looked at; default as media.inspect.",
        choice(get_args(Inspect)),
    ),
    "mode": Key(
        "shadow: decide and record, do not enforce; default enforce.",
        choice(("enforce", "shadow")).into(lambda mode: mode == "shadow"),
    ),
}
MUST_KEYS: Keys = {
    "name": Key("Its name, once in a policy.", NAME, is_required=True),
    "when": Key("The expression that the promise is about.", TEXT, is_required=True),
    "verdict": Key(
        "allow: every such message passes, and its source is never banned. drop: none passes.",
        choice(get_args(MustVerdict)),
        is_required=True,
    ),
}
_SIGNALLING_KEYS: Keys = {
    "ports": Key(
        "UDP and TCP ports of SIP; default [5060].",
        list_of(_PORT, "a port", some=f"leave signalling out for [{SIP_PORT}]").into(frozenset),
        is_required=True,
    ),
}
MEDIA_KEYS: Keys = {
    "mode": Key(
        "enforce: only negotiated media passes; shadow: what would not is recorded; off: all passes. Default enforce.",
        choice(get_args(MediaMode)),
    ),
    "source": Key(
        "What of a packet's source must be as negotiated: its address, its address and port, only its zone; "
        "default address.",
        choice(get_args(MediaSource)),
    ),
    "early": Key(
        "What opens the way to who offered: the offer, or only the answer; default offer.",
        choice(get_args(MediaEarly)),
    ),
    "nat": Key(
        "latch: who names an address outside its zone, none, or a port that is not its own is sent media where its own "
        "comes from; default off.",
        choice(get_args(MediaNat)),
    ),
    "ports": Key(
        "Ports on which media may be negotiated; default 1024-65535.",
        matching(
            "([0-9]{1,5})-([0-9]{1,5})", _port_range, 'ports "{text}" is no range of ports', "write it as 10000-20000"
        ),
    ),
    "other_ports": Key(
        "UDP ports above 1023 that other traffic between the zones uses, which is left alone.",
        list_of(_PORT, "a port of other_ports").into(frozenset),
    ),
    "grace": Key("How long a pinhole stays open after the call or stream has ended; default 500ms.", DURATION_NS),
    "timeout": Key("How long a pinhole stays open without a packet; default 1h.", DURATION_NS),
    "inspect": Key(
        "Which packets of a flow are looked at: the first ones, those and a sample, all; default sample.",
        choice(get_args(Inspect)),
    ),
}


def _media(found: Section) -> MediaPolicy:
    places = tuple((key, found.key_place(key)) for key in MEDIA_KEYS if key in found)
    return MediaPolicy(**found.values(grace="grace_ns", timeout="timeout_ns"), places=places)


def _zones(node: Node, what: str) -> tuple[Zone, ...]:
    return tuple(_zone(key, value) for key, value in entries(node, what))


def _zone(key: Scalar, node: Node) -> Zone:
    found = Section(node, f'zone "{shown(key.text)}"', ZONE_KEYS)
    return Zone(
        name=NAME.read(key, "the name of a zone"),
        interfaces=found.get("interfaces", ()),
        networks=found.get("networks", ()),
        on_daemon_down=found.get("on_daemon_down", "bypass"),
        place=key.place,
    )


def _only_beside(key: str, action: str) -> Schema:
    return {"if": {"required": [key]}, "then": {"properties": {"action": {"const": action}}}}


_ONE_KEY = {"type": "object", "minProperties": 1, "maxProperties": 1}
_RULE = object_schema(RULE_KEYS) | {
    "required": ["name", "action"],
    "allOf": [_only_beside("status", "reject"), _only_beside("ban", "drop")],
}
POLICY_KEYS: Keys = {
    "policy": Key("Name of the policy, shown in every decision.", NAME, is_required=True),
    "zones": Key("Who is where.", Kind(_zones, named_schema(object_schema(ZONE_KEYS)))),
    "sets": Key("Named sets, used as $name.", unread(named_schema(object_schema(SET_KEYS) | _ONE_KEY))),
    "emergency": Key(
        "What this network calls an emergency; the forms of the RFCs always count.",
        section("emergency", EMERGENCY_KEYS, lambda found: found),
    ),
    "exceptions": Key(
        "What happens to a message when the firewall itself has a problem.",
        section("exceptions", EXCEPTION_KEYS, lambda found: ExceptionPolicies(**found.values())),
    ),
    "rules": Key("First match decides.", list_of(unread(_RULE)), is_required=True),
    "default": Key(
        "What happens to what no rule matches and belongs to nothing allowed.", _EXCEPTION, is_required=True
    ),
    "signalling": Key(
        "What is taken for SIP signalling.",
        section("signalling", _SIGNALLING_KEYS, lambda found: found.get("ports")),
    ),
    "media": Key("Which media may pass; without it, what is negotiated in SDP.", section("media", MEDIA_KEYS, _media)),
    "must": Key("Promises that lint proves; the daemon does not read them.", list_of(unread(object_schema(MUST_KEYS)))),
}


def json_schema() -> Schema:
    """Return the JSON Schema (2020-12) of a policy file, for editors.

    It takes all that the loader takes; the loader checks more than a schema can say.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sosgate policy",
        **object_schema(POLICY_KEYS),
    }
