"""Every reason code a decision or an anomaly can carry, with its words: the only list.

The decision log carries the code; ``sosgate explain CODE``, docs/reasons.md and the tests read this table. A code is
never used again for something else.
"""

from dataclasses import dataclass
from typing import Literal

from firewall.engine.media_reasons import MEDIA_ANOMALIES, MEDIA_REASONS
from firewall.sip.fault_words import ANOMALIES, MALFORMED

Kind = Literal["decision", "malformed", "anomaly", "media"]

# Title and page by code.
_DECISIONS: dict[str, tuple[str, str]] = {
    "rule": (
        "A rule matched",
        "The first rule whose `when` matched, within its schedule and above its limit, decided. `rule` and `line` "
        "name it.",
    ),
    "banned": (
        "The source is banned",
        "An earlier message from this address matched a rule with `ban`; `rule` and `line` name that rule. The ban "
        "ends by itself, or when another policy comes into force.",
    ),
    "response": (
        "Response to an allowed request",
        "No rule matched; the response has the Call-ID, CSeq and branch of a request that was allowed (RFC 3261 "
        "§17.1.3).",
    ),
    "in_dialog": (
        "Request inside an allowed dialog",
        "No rule matched; the request has the Call-ID and both tags of a dialog that was allowed (RFC 3261 §12).",
    ),
    "cancel": (
        "CANCEL of an allowed request",
        "No rule matched; the CANCEL has the Call-ID, CSeq number and branch of a request that was allowed (RFC 3261"
        " §9.1).",
    ),
    "takeover": (
        "In-dialog message of a call that began unseen",
        "No rule matched and the call is unknown, but an earlier run of the firewall was here: calls that began "
        "before or during its absence must not be cut. For one hour after such a start, requests with a To tag and "
        "responses follow; so they do after messages passed unseen because another program had removed the nftables "
        "table (alarm `interception_lost`).",
    ),
    "default": (
        "No rule matched",
        "Neither a rule matched nor does the message belong to something already allowed: the policy's `default` "
        "decided.",
    ),
    "reject_ack": (
        "ACK to a response of the firewall's own",
        "The firewall itself rejected this INVITE; the caller's ACK ends here (RFC 3261 §17.1.1.3). Nothing is lost "
        "by it.",
    ),
    "keep_alive": (
        "Keep-alive without a message",
        "No rule matched; an empty datagram or one of line ends only keeps a binding open (RFC 5626 §3.5.1). It is "
        "let through.",
    ),
    "table_full": (
        "The table of calls is full",
        "The call cannot be tracked, because the table of calls is full: `exceptions.table_full` decided. For an "
        "emergency call the oldest ordinary call makes room, or else the oldest emergency call that nobody has "
        "answered.",
    ),
    "log_unwritable": (
        "The decision log cannot be written",
        "The disk is full or failing, and `exceptions.log_unwritable` is `drop`: what cannot be recorded does not "
        "pass. Emergency calls always pass.",
    ),
    "internal_error": (
        "A defect of sosgate",
        "sosgate failed on this message. `exceptions.internal_error` decided; the alarm names the defect. Please "
        "report it.",
    ),
    "forward_failed": (
        "An allowed message could not be sent on",
        "It was allowed and written into the log, and then the machine would not send it, or the other side of its "
        "TCP connection refused, reset or did not answer it (then the call's `attribution` is `downstream`). The "
        "alarm of the same name has the kernel's word for it.",
    ),
    "connection_limit": (
        "A limit of TCP connections refused it",
        "The daemon holds so many TCP connections, of this source or in all, that it reset a new one. What the "
        "caller sends on it is lost, an emergency call too, and no rule had a say. It stands in alarms and in the "
        "ledger. `sosgate ctl status` shows the counts and the limits; `ulimit -n` sets how many there may be.",
    ),
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One code: where it stands (a decision's reason, a parse failure, an anomaly), its title and its page."""

    code: str
    kind: Kind
    title: str
    text: str


_KINDS: tuple[tuple[Kind, dict[str, tuple[str, str]]], ...] = (
    ("decision", _DECISIONS),
    ("malformed", {code: (title, text) for code, title, text in MALFORMED}),
    ("decision", MEDIA_REASONS),
    ("anomaly", {code: (title, text) for code, title, text in ANOMALIES}),
    ("media", MEDIA_ANOMALIES),
)
REASONS = {code: Reason(code, kind, *words) for kind, table in _KINDS for code, words in table.items()}
