"""The shape of a policy file: every key, what it means, what it takes. One table for the loader and the JSON Schema."""

from typing import Any, get_args

from firewall.net.datagram import MAX_PORT
from firewall.ruleset.policy import (
    ExceptionVerdict,
    Flow,
    Guard,
    Inspect,
    MediaEarly,
    MediaMode,
    MediaNat,
    MediaSource,
    MustVerdict,
    Verdict,
)
from firewall.ruleset.schedule import DAYS

Schema = dict[str, Any]

# What a value's text must be, for the loader and for the schema alike.
NAME = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
DURATION = "([1-9][0-9]{0,8})(ms|s|m|h)"
RATE = "([1-9][0-9]{0,8})/([1-9][0-9]{0,8})(ms|s|m|h)"
NUMBER_TO_DIAL = "[+]?[0-9*#]{1,32}"
PORT_RANGE = "([0-9]{1,5})-([0-9]{1,5})"
MAX_CALL_RATE = 1_000_000
MAX_BURST = 1_000_000_000
STATUSES = (300, 699)

_TEXT: Schema = {"type": "string", "minLength": 1}
# A word may look like something else to YAML: a policy named 2026, an interface 7.
_WORD: Schema = {"type": ["string", "number", "boolean"], "minLength": 1}


def _matching(pattern: str) -> Schema:
    return {"type": "string", "pattern": f"^(?:{pattern})$"}


def _integer(minimum: int, maximum: int) -> Schema:
    return {"type": ["integer", "string"], "minimum": minimum, "maximum": maximum, "pattern": "^[0-9]+$"}


def _choice(values: tuple[str, ...]) -> Schema:
    return {"type": "string", "enum": list(values)}


def _list_of(item: Schema) -> Schema:
    return {"type": ["array", "null"], "items": item}


def _stated(many: Schema) -> Schema:
    return many | {"type": "array"}


def _some_of(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1}


_NAME = _matching(NAME) | _WORD
_DURATION = _matching(DURATION)
_NUMBERS = _list_of(_matching(NUMBER_TO_DIAL) | {"type": ["string", "integer"], "minimum": 0})
_PORT = _integer(1, MAX_PORT)


ZONE_KEYS: dict[str, tuple[str, Schema]] = {
    "interfaces": ("Interfaces its packets come in by; none: any interface.", _stated(_list_of(_WORD))),
    "networks": ("IPv4 and IPv6 networks its addresses are in; none: any address.", _stated(_list_of(_TEXT))),
    "on_daemon_down": (
        "What the kernel does with its signalling while the daemon is down; default bypass.",
        _choice(("bypass", "block")),
    ),
}
SET_KEYS: dict[str, tuple[str, Schema]] = {
    "file": ("A list file, its path relative to the policy: one entry per line, # begins a comment.", _WORD),
    "networks": ("IPv4 and IPv6 networks.", _list_of(_TEXT)),
    "values": ("Texts, compared exactly.", _list_of(_WORD)),
}
SURGE_KEYS: dict[str, tuple[str, Schema]] = {
    "calls_per_second": ("Emergency calls per second in all.", _integer(1, MAX_CALL_RATE)),
    "per_source": ("Emergency calls per second from one source.", _integer(1, MAX_CALL_RATE)),
}
EMERGENCY_KEYS: dict[str, tuple[str, Schema]] = {
    "numbers": ('Numbers that reach emergency services; default ["911", "112"].', _stated(_NUMBERS)),
    "test_numbers": ("Numbers for test calls.", _NUMBERS),
    "dial_prefixes": ("Prefixes with which the numbers may be dialled, too.", _NUMBERS),
    "from": ("Zones in which emergency calls begin; default all.", _some_of(_WORD)),
    "to": ("Zones in which they are answered; default all.", _some_of(_WORD)),
    "flows": ("What must always pass; default voice to keepalive.", _some_of(_choice(get_args(Flow)))),
    "surge": ("The mass-casualty load that no limit may cut into.", {}),
    "guard": (
        "What happens when a rule would block emergency traffic: pass and alarm, alarm, nothing.",
        _choice(get_args(Guard)),
    ),
}
EXCEPTION_KEYS: dict[str, tuple[str, Schema]] = {
    "malformed": ("Signalling that is no SIP message; default drop.", _choice(get_args(ExceptionVerdict))),
    "table_full": ("No room for another call; default allow.", _choice(get_args(ExceptionVerdict))),
    "internal_error": ("A fault of the firewall itself; default allow.", _choice(get_args(ExceptionVerdict))),
    "log_unwritable": ("The decision log cannot be written; default allow.", _choice(get_args(ExceptionVerdict))),
}
LIMIT_KEYS: dict[str, tuple[str, Schema]] = {
    "rate": ("Messages per time, as 30/2s (units ms s m h).", _matching(RATE)),
    "burst": ("How many fit at once; default the count of the rate.", _integer(1, MAX_BURST)),
    "per": (
        "The field, or fields, whose values are counted apart; default all together.",
        {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]},
    ),
}
SCHEDULE_KEYS: dict[str, tuple[str, Schema]] = {
    "days": ("Days on which it begins; default all.", _some_of(_choice(DAYS))),
    "hours": (
        "Hours as HH:MM-HH:MM, over midnight when the end is earlier; default the whole day.",
        _matching("[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]"),
    ),
    "timezone": ("IANA name of the time zone.", _TEXT),
}
RULE_KEYS: dict[str, tuple[str, Schema]] = {
    "name": ("Its name, once in a policy.", _NAME),
    "when": ("The expression; without it the rule matches everything.", _TEXT),
    "action": ("What happens to what matches.", _choice(get_args(Verdict))),
    "status": ("SIP status of a reject; default 403.", _integer(*STATUSES)),
    "ban": ("How long the source of a drop stays banned, as 10m.", _DURATION),
    "limit": ("The rule matches only above this rate.", {}),
    "schedule": ("The rule matches only at these times.", {}),
    "inspect": (
        "Which packets of the media flows it may decide on are looked at; default as media.inspect.",
        _choice(get_args(Inspect)),
    ),
    "mode": ("shadow: decide and record, do not enforce; default enforce.", _choice(("enforce", "shadow"))),
}
MUST_KEYS: dict[str, tuple[str, Schema]] = {
    "name": ("Its name, once in a policy.", _NAME),
    "when": ("The expression that the promise is about.", _TEXT),
    "verdict": (
        "allow: every such message passes, and its source is never banned. drop: none passes.",
        _choice(get_args(MustVerdict)),
    ),
}
SIGNALLING_KEYS: dict[str, tuple[str, Schema]] = {
    "ports": ("UDP and TCP ports of SIP; default [5060].", _some_of(_PORT)),
}
MEDIA_KEYS: dict[str, tuple[str, Schema]] = {
    "mode": (
        "enforce: only negotiated media passes; shadow: what would not is recorded; off: all passes. Default enforce.",
        _choice(get_args(MediaMode)),
    ),
    "source": (
        "What of a packet's source must be as negotiated: its address, its address and port, only its zone; "
        "default address.",
        _choice(get_args(MediaSource)),
    ),
    "early": (
        "What opens the way to who offered: the offer, or only the answer; default offer.",
        _choice(get_args(MediaEarly)),
    ),
    "nat": (
        "latch: who names an address outside its zone, none, or a port that is not its own is sent media where its own "
        "comes from; default off.",
        _choice(get_args(MediaNat)),
    ),
    "ports": ("Ports on which media may be negotiated; default 1024-65535.", _matching(PORT_RANGE)),
    "other_ports": (
        "UDP ports above 1023 that other traffic between the zones uses, which is left alone.",
        _list_of(_PORT),
    ),
    "grace": ("How long a pinhole stays open after the call or stream has ended; default 500ms.", _DURATION),
    "timeout": ("How long a pinhole stays open without a packet; default 1h.", _DURATION),
    "inspect": (
        "Which packets of a flow are looked at: the first ones, those and a sample, all; default sample.",
        _choice(get_args(Inspect)),
    ),
}
POLICY_KEYS: dict[str, tuple[str, Schema]] = {
    "policy": ("Name of the policy, shown in every decision.", _NAME),
    "zones": ("Who is where.", {}),
    "sets": ("Named sets, used as $name.", {}),
    "emergency": ("What this network calls an emergency; the forms of the RFCs always count.", {}),
    "exceptions": ("What happens to a message when the firewall itself has a problem.", {}),
    "rules": ("First match decides.", {}),
    "default": (
        "What happens to what no rule matches and belongs to nothing allowed.",
        _choice(get_args(ExceptionVerdict)),
    ),
    "signalling": ("What is taken for SIP signalling.", {}),
    "media": ("Which media may pass; without it, what is negotiated in SDP.", {}),
    "must": ("Promises that lint proves; the daemon does not read them.", {}),
}


def json_schema() -> Schema:
    """Return the JSON Schema (2020-12) of a policy file, for editors.

    It takes all that the loader takes; the loader checks more than a schema can say.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sosgate policy",
        **_object(
            POLICY_KEYS,
            required=("policy", "rules", "default"),
            nested={
                "zones": _named(_object(ZONE_KEYS)),
                "sets": _named(_object(SET_KEYS) | {"type": "object", "minProperties": 1, "maxProperties": 1}),
                "emergency": _object(EMERGENCY_KEYS, nested={"surge": _object(SURGE_KEYS, required=tuple(SURGE_KEYS))}),
                "exceptions": _object(EXCEPTION_KEYS),
                "rules": _list_of(_rule()),
                "signalling": _object(SIGNALLING_KEYS, required=tuple(SIGNALLING_KEYS)),
                "media": _object(MEDIA_KEYS),
                "must": _list_of(_object(MUST_KEYS, required=tuple(MUST_KEYS))),
            },
        ),
    }


def _rule() -> Schema:
    rule = _object(
        RULE_KEYS,
        required=("name", "action"),
        nested={
            "limit": _object(LIMIT_KEYS, required=("rate",)),
            "schedule": _object(SCHEDULE_KEYS, required=("timezone",)),
        },
    )
    rule["allOf"] = [_only_beside("status", "reject"), _only_beside("ban", "drop")]
    return rule


def _only_beside(key: str, action: str) -> Schema:
    return {"if": {"required": [key]}, "then": {"properties": {"action": {"const": action}}}}


def _named(value: Schema) -> Schema:
    return {"type": ["object", "null"], "propertyNames": _NAME, "additionalProperties": value}


def _object(
    keys: dict[str, tuple[str, Schema]], *, required: tuple[str, ...] = (), nested: dict[str, Schema] | None = None
) -> Schema:
    properties = {
        key: {"description": description, **((nested or {}).get(key) or schema)}
        for key, (description, schema) in keys.items()
    }
    found: Schema = {"type": ["object", "null"], "properties": properties, "additionalProperties": False}
    return found | {"type": "object", "required": list(required)} if required else found
