"""The table of fields a rule can look at. One table for the rules, the docs and the schema.

Names and meanings are Wireshark's, except for our own fields. A reader gives every value of its field in one message,
in wire order: text as str, numbers as int, addresses on the line of ``net.address``.
"""

from collections.abc import Callable
from difflib import get_close_matches
from operator import attrgetter
from typing import get_args

from firewall.ruleset.expression import Field
from firewall.ruleset.facts import DialogState, EmergencyClass, EmergencyMark, Facts
from firewall.ruleset.field_spec import FieldSpec, OneReader, Reader, Values, own_field
from firewall.ruleset.media_fields import MEDIA_FIELDS, RTP_FIELDS
from firewall.ruleset.packet_fields import NET_FIELDS, PACKET_FIELDS
from firewall.ruleset.sdp_fields import SDP_FIELDS
from firewall.ruleset.sip_fields import SIP_FIELDS, header_reader
from firewall.sip.fault_words import ANOMALIES, MALFORMED

HEADER_FIELD = "sip.header"


def _of_mark(read: Callable[[EmergencyMark], str]) -> OneReader:
    return lambda facts: read(facts.emergency) if facts.emergency is not None else None


def _anomalies(facts: Facts) -> Values:
    return facts.message.anomalies if facts.message is not None else ()


_URN = "The service URN asked for, lower case (RFC 5031), also where a number was dialled"
_ODD = "Code (docs/reasons.md) of each thing wrong with a message that could still be read"
_CODES = tuple(code for code, _, _ in ANOMALIES)
_NAMED = 'Any header by its name, as sip.header["X-Name"]: any case, compact forms included, one value per line'
_UNREAD = "Taken for signalling, but no SIP message could be read"
_FAULTS = (code for code, _, _ in MALFORMED)

_OWN_FIELDS: tuple[FieldSpec, ...] = (
    own_field("emergency", "flag", "The message belongs to an emergency call", lambda f: f.emergency is not None),
    own_field(
        "emergency.class",
        "text",
        "What kind of emergency traffic it is",
        _of_mark(attrgetter("emergency_class")),
        *get_args(EmergencyClass),
    ),
    own_field("emergency.service", "text", _URN, _of_mark(attrgetter("service"))),
    own_field("zone.src", "text", "Zone the packet comes from", attrgetter("zone_src")),
    own_field("zone.dst", "text", "Zone the packet goes to", attrgetter("zone_dst")),
    own_field(
        "dialog.state",
        "text",
        "State in which the message finds its dialog",
        attrgetter("dialog_state"),
        *get_args(DialogState),
    ),
    own_field("malformed", "flag", _UNREAD, lambda f: f.malformed is not None),
    own_field("malformed.reason", "text", "Reason code of a malformed message", attrgetter("malformed"), *_FAULTS),
    FieldSpec("sip.anomaly", "text", _ODD, _anomalies, own=True, choices=_CODES),
    FieldSpec(HEADER_FIELD, "text", _NAMED, lambda _: (), own=True),
    *NET_FIELDS,
    *MEDIA_FIELDS,
)

FIELDS: dict[str, FieldSpec] = {
    spec.name: spec for spec in (*_OWN_FIELDS, *PACKET_FIELDS, *RTP_FIELDS, *SIP_FIELDS, *SDP_FIELDS)
}
_BY_LOWER_CASE = {name.lower(): name for name in FIELDS}


def reader_of(field: Field) -> Reader:
    """Return the reader of a field that is in the table.

    Raises:
        KeyError: the field is not in the table.
    """
    if field.header is not None:
        return header_reader(field.header)
    return FIELDS[field.name].read


def one_reader_of(field: Field) -> OneReader | None:
    """Return the reader of a field's one value, where it has one (``FieldSpec.one``)."""
    return FIELDS[field.name].one if field.header is None else None


def field_advice(name: str) -> str:
    """Say which field was probably meant by a name that is not in the table, or where all of them are."""
    similar = _BY_LOWER_CASE.get(name.lower())
    if similar is None:
        close = get_close_matches(name.lower(), _BY_LOWER_CASE, n=1, cutoff=0.7)
        similar = _BY_LOWER_CASE[close[0]] if close else None
    return f'did you mean "{similar}"?' if similar else "docs/fields.md lists all fields"
