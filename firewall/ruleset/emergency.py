"""What an emergency call looks like in one message: the only definition, read by the engine, lint and match.

Each form names its source in the evidence. No form is ever taken from a display name, and a number must be the whole
user part: ``sip:9115551212@`` is an ordinary call.
"""

import re
from collections.abc import Callable, Collection
from functools import lru_cache

from firewall.net.remembered import remembered
from firewall.ruleset.facts import EmergencyClass, EmergencyMark
from firewall.ruleset.literal import text_bytes
from firewall.ruleset.policy import EmergencyPolicy
from firewall.sip.body import SDP_TYPE, body_parts, media_type_of
from firewall.sip.emergency_data import ALERT_SUBTYPES
from firewall.sip.head import Head, read_head
from firewall.sip.headers import parse_params, split_values
from firewall.sip.limits import MAX_HEADER_LINES
from firewall.sip.message import Message, Request
from firewall.sip.name_addr import parse_name_addr
from firewall.sip.start_line import KNOWN_METHODS
from firewall.sip.uri import Uri, parse_uri, unescape

SOS = "urn:service:sos"
TEST_SOS = "urn:service:test.sos"
CALLBACK_WINDOW_NS = 30 * 60 * 1_000_000_000
"""How long after an emergency call a call back to its caller counts as part of it."""

# RFC 5031 §4.2 and the IANA "urn:service labels"; "services", a number in place of "sos" and ":" in place of "." are
# misspellings seen on the wire: "test:sos" is one that an i3 conformance suite sends (RFC 6881 §17 has "test.sos").
_SERVICE_URN = re.compile(r"services?:(?:(test)[.:])?(sos|\d{1,9})((?:[.:][a-z0-9-]*)*)(?![a-z0-9_-])")
# "urn:emergency" is what NENA-STA-010.3 calls what was "urn:nena" before.
_NENA_URN = re.compile(r"(?:nena|emergency):service:[a-z0-9._-]+")
# Of the services as they are named here, those for tests; "urn:emergency:service:test.psap" is one of NENA's registry.
_TEST_SERVICE = re.compile(r"urn:service:test\.sos|urn:(?:nena|emergency):service:test(?:\.|\Z)")
_CALL_URN = re.compile(r"\s*<?\s*urn:(?:emergency|nena):uid:(callid|incidentid):", re.IGNORECASE)
# As nearly every ordinary call is addressed; what stands behind the "@" makes no number an emergency's.
_NUMBER_AT_HOST = re.compile(r"sip:([+0-9]+)@")
_SEPARATORS = str.maketrans("", "", "-.() ")  # RFC 3966 §3 visual-separator, and the blank that some send
_RAW_SOS = re.compile(
    rb"urn:(?:service:(test[.:])?sos|(?:nena|emergency):service:(test(?![a-z0-9_-]))?)", re.IGNORECASE
)
_RAW_BYTES = 16_384
_RAW_REQUEST = re.compile(
    rf"[\s\0\ufeff]*(?:{'|'.join(sorted(KNOWN_METHODS - {'REGISTER'}))})\s+<?([^\s>]+)", re.IGNORECASE
)
_CALL_PURPOSES = ("emergency-callid", "emergency-incidentid", "nena-callid", "nena-incidentid")
_MARKING_HEADERS = frozenset({"resource-priority", "priority", "call-info"})
"""``_header_marks`` finds nothing in a message without any of these."""
_TELLING_HEADERS = _MARKING_HEADERS | {"route", "content-type"}
"""A message without any of these says nothing beside its Request-URI and To."""
_UNREADABLE = "unreadable message: "
_SHOWN = 120  # characters of a URI that the evidence quotes, and of a service
_MOST_PHRASES = 32  # of the evidence: the call keeps it, and each record of the call has it

Target = tuple[str, str] | None
"""The service URN asked for, and the standard that says so; None for an ordinary target."""

Evidence = list[tuple[str, str]]
"""Each service asked for, with the phrase that says where."""

Recogniser = Callable[[Message], EmergencyMark | None]


def recognise(message: Message, definition: EmergencyPolicy) -> EmergencyMark | None:
    """Tell from a message alone whether it belongs to an emergency call, and why."""
    return recogniser(definition)(message)


def recognise_bytes(payload: bytes, definition: EmergencyPolicy) -> EmergencyMark | None:
    """Tell whether bytes that are no SIP message still ask for an emergency service (NENA-STA-010.3 §3.1.1).

    What follows a method at the very beginning, and headers in the lines below it, count as in a message that can be
    read.
    """
    evidence: Evidence = []
    for named in _RAW_SOS.finditer(payload, 0, _RAW_BYTES):
        phrase = f"names {named[0].decode('ascii').lower()} (NENA-STA-010.3 §3.1.1)"
        if named.lastindex is None:
            return _mark([(SOS, phrase)], 1, prefix=_UNREADABLE)
        if not evidence:
            evidence.append((TEST_SOS, phrase))
    beginning = payload[:_RAW_BYTES]
    start = _RAW_REQUEST.match(beginning.decode("utf-8", "surrogateescape"))
    if start is None:
        return _mark(evidence, len(evidence), prefix=_UNREADABLE)
    target_of = _target_reader(definition)
    _add(evidence, "request_uri", start[1], target_of(start[1]))
    head = read_head(b"\n".join(beginning.split(b"\n", MAX_HEADER_LINES)[:MAX_HEADER_LINES]))
    _add_targets(evidence, head, "route", target_of)
    _add_targets(evidence, head, "to", target_of)
    asked_for = len(evidence)
    callback = _header_marks(head, evidence)
    return _mark(evidence, asked_for, callback=callback, prefix=_UNREADABLE)


@lru_cache(maxsize=64)
def _target_reader(definition: EmergencyPolicy) -> Callable[[str], Target]:
    numbers = frozenset(definition.numbers)
    calls = _dialled(definition.numbers, definition.dial_prefixes)
    tests = _dialled(definition.test_numbers, definition.dial_prefixes)

    @remembered(8192)
    def target_of(uri_text: str) -> Target:
        usual = _NUMBER_AT_HOST.match(uri_text)
        if usual is not None:
            return _number_target(usual[1], calls, tests)
        return _target(parse_uri(uri_text), numbers, calls, tests)

    return target_of


def recogniser(definition: EmergencyPolicy) -> Recogniser:
    """Compile what a policy calls an emergency into a function for the packet path."""
    target_of = _target_reader(definition)

    def recognise_message(message: Message) -> EmergencyMark | None:
        method = message.method if isinstance(message, Request) else message.cseq_method
        if method == "REGISTER":
            return _registration(message)
        evidence: Evidence = []
        says_more = message.has_any(_TELLING_HEADERS)
        if isinstance(message, Request):
            if (target := target_of(message.request_uri)) is not None:
                _add(evidence, "request_uri", message.request_uri, target)
            if says_more:
                _add_targets(evidence, message.head, "route", target_of)
        if message.may_be_several("to"):  # a second is an anomaly, and may be the one that is meant
            _add_targets(evidence, message.head, "to", target_of)
        elif (target := target_of(message.to.uri)) is not None:
            _add(evidence, "to", message.to.uri, target)
        asked_for = len(evidence)
        callback = says_more and _marks(message, evidence)
        if not evidence:
            return None
        return _mark(evidence, asked_for, callback=callback, is_text=message.cseq_method == "MESSAGE")

    return recognise_message


def dialled_digits(user: str) -> str:
    """Return a user part as dialled: escapes resolved, ``;`` parameters and separators gone (RFC 3966 §3)."""
    return unescape(user).partition(";")[0].translate(_SEPARATORS)


def _add_targets(evidence: Evidence, head: Head, name: str, target_of: Callable[[str], Target]) -> None:
    """Add what the addresses of a header ask for, those of one line and of several."""
    for value in head.values(name):
        for part in split_values(value):
            uri = parse_name_addr(part).uri
            _add(evidence, name, uri, target_of(uri))


def _mark(
    evidence: Evidence, asked_for: int, *, callback: bool = False, is_text: bool = False, prefix: str = ""
) -> EmergencyMark | None:
    """Return the mark that evidence makes, the first ``asked_for`` of it what the message asks for.

    This alone says whether it is a test: a border function marks all alike (NENA-STA-010.3 §4.1.2).
    """
    if not evidence:
        return None
    emergency_class: EmergencyClass = "callback" if callback else "text" if is_text else "call"
    if asked_for and all(_is_test(service) for service, _ in evidence[:asked_for]):
        emergency_class = "test"
    return EmergencyMark(
        emergency_class, evidence[0][0], tuple(prefix + phrase for _, phrase in evidence[:_MOST_PHRASES])
    )


def _add(evidence: Evidence, where: str, text: str, target: Target) -> None:
    if target is not None:
        service, source = target
        evidence.append((service, f"{where} {wire_text(text[:_SHOWN])} ({source})"))


def wire_text(text: str) -> str:
    """Return wire text that JSON can carry: bytes that were no UTF-8 are escaped."""
    return text if text.isascii() else text_bytes(text).decode("utf-8", "backslashreplace")


def _target(uri: Uri, numbers: frozenset[str], calls: re.Pattern[str], tests: re.Pattern[str]) -> Target:
    if uri.scheme == "urn":
        return _urn_target(uri.opaque or "", numbers)
    if uri.scheme in ("sip", "sips", "tel"):
        written = unescape(uri.text[len(uri.scheme) + 1 :].lstrip("/"))  # "sip://911@h" is a common slip
        if written[:4].lower() == "urn:":  # "sip:urn:service:sos@h": what a phone that knows no URN makes of one
            return _urn_target(written[4:], numbers)
        # A second "@" stands in no valid URI (RFC 3261 §25.1), and some take the first for the user's end.
        user = uri.user.partition("@")[0].lstrip("/") if uri.user is not None else _number_as_host(uri.host or "")
    elif uri.scheme == "":
        # "INVITE 911 SIP/2.0": no URI at all, but an i3 border must let it pass (NENA-STA-010.3 §3.1.1).
        user = (uri.opaque or "").partition("@")[0]
    else:
        return None
    return _number_target(dialled_digits(user or ""), calls, tests)


def _number_target(digits: str, calls: re.Pattern[str], tests: re.Pattern[str]) -> Target:
    if calls.fullmatch(digits):
        return SOS, "emergency number of the policy"
    return (TEST_SOS, "emergency test number of the policy") if tests.fullmatch(digits) else None


def _number_as_host(host: str) -> str | None:
    """Return the number of ``sip:911``, which stands where the host should; with dots it is an address (1.1.1.2)."""
    return None if "." in host else host


def _urn_target(opaque: str, numbers: frozenset[str]) -> Target:
    text = unescape(opaque).strip().lower()
    match = _SERVICE_URN.match(text)
    if match is not None and (match[2] in ("sos", "911") or match[2] in numbers):
        test, labels = match[1], match[3][:_SHOWN].replace(":", ".").rstrip(".")
        return (TEST_SOS + labels, "RFC 6881 §17") if test else (SOS + labels, "RFC 5031 §4.2")
    match = _NENA_URN.match(text)
    return (f"urn:{match[0][:_SHOWN]}", "NENA-STA-010.3 §2.1") if match is not None else None


def _is_test(service: str) -> bool:
    return _TEST_SERVICE.match(service) is not None


def _dialled(numbers: Collection[str], prefixes: Collection[str]) -> re.Pattern[str]:
    """Return the regex of what dials one of these numbers: bare, behind a prefix, or behind a country code.

    With a country code they are too short to be any subscriber's E.164 number.
    """
    before = "|".join(re.escape(prefix.removeprefix("+")) for prefix in prefixes)
    number = "|".join(map(re.escape, numbers)) or "(?!)"
    return re.compile(rf"(?:\+[0-9]{{0,3}}|\+?(?:{before}))?(?:{number})")


def _registration(message: Message) -> EmergencyMark | None:
    """An IMS emergency registration carries the ``sos`` URI parameter (3GPP TS 24.229 §5.1.6.2, RFC 5031)."""
    for value in message.header_values("contact"):
        if "sos" not in value.lower():
            continue
        for contact in split_values(value):
            name_addr = parse_name_addr(contact)
            if "sos" in parse_uri(name_addr.uri).params or "sos" in name_addr.params:
                return EmergencyMark(
                    "registration", SOS, (f"contact {wire_text(name_addr.uri[:_SHOWN])} (3GPP TS 24.229 §5.1.6.2)",)
                )
    return None


def _marks(message: Message, evidence: Evidence) -> bool:
    """Add what headers and bodies say beside the target; return whether the message calls itself a PSAP callback."""
    callback = message.has_any(_MARKING_HEADERS) and _header_marks(message.head, evidence)
    if _holds_alert(message):
        evidence.append((SOS, "body application/EmergencyCallData.cap+xml (RFC 8876)"))
    return callback


def _header_marks(head: Head, evidence: Evidence) -> bool:
    for value in head.values("resource-priority"):
        evidence.extend(
            (SOS, f"resource_priority {wire_text(namespace[:_SHOWN])} (RFC 7135)")
            for namespace in split_values(value)
            if namespace.lower().startswith("esnet.")
        )
    priorities = [value.partition(";")[0].strip().lower() for value in head.values("priority")]
    if "emergency" in priorities:
        evidence.append((SOS, "priority emergency (RFC 3261 §20.26)"))
    if "psap-callback" in priorities:
        evidence.append((SOS, "priority psap-callback (RFC 7090)"))
    for value in head.values("call-info"):
        if "emergency" not in value.lower() and "nena" not in value.lower():
            continue
        for info in split_values(value):
            purpose = (parse_params(info.partition(">")[2]).get("purpose") or "").lower()
            named = _CALL_URN.match(info)
            if purpose not in _CALL_PURPOSES and named is not None:
                purpose = f"emergency-{named[1].lower()}"  # no purpose behind it, as an i3 conformance suite writes it
            if purpose in _CALL_PURPOSES:
                evidence.append((SOS, f"call_info {purpose} (NENA-STA-010.3 §2.1.6)"))
    return "psap-callback" in priorities


def _holds_alert(message: Message) -> bool:
    """Tell whether a body part is a CAP alert; only a multipart body that mentions one is taken apart."""
    written = message.header("content-type")
    if written is None or written == SDP_TYPE:
        return False
    content_type = media_type_of(written)
    if not content_type.startswith("multipart/"):
        return content_type.endswith(ALERT_SUBTYPES)
    body = message.body.lower()
    is_mentioned = any(subtype.encode() in body for subtype in ALERT_SUBTYPES)
    return is_mentioned and any(part.content_type.endswith(ALERT_SUBTYPES) for part in body_parts(message))
