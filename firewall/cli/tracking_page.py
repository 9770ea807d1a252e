"""docs/tracking.md: the states of dialogs and transactions, drawn from the tables that the engine walks."""

from collections.abc import Collection

from firewall.engine.call import DIALOG_NS, QUEUED_NS, RINGING_NS, SECOND_NS, TRANSACTION_NS, UNANSWERED_NS
from firewall.engine.call_table import MAX_CALLS
from firewall.engine.dialog import TRANSITIONS
from firewall.engine.observe import TAKEOVER_NS
from firewall.engine.related import MAX_EXPECTED, TRANSFER_WINDOW_NS
from firewall.engine.transaction import INVITE_TRANSITIONS, NON_INVITE_TRANSITIONS
from firewall.ruleset.emergency import CALLBACK_WINDOW_NS

_HEAD = """\
# Tracking

What sosgate remembers of calls, so that a message can follow what was allowed before. This page is generated from the
tables that the engine walks (`firewall/engine/dialog.py`, `firewall/engine/transaction.py`); what is not drawn changes
nothing. `dialog.state` in a rule and in the log is the state in which a message *finds* its dialog.
"""

_Arrows = Collection[tuple[tuple[str, str], str]]
"""((state, trigger), following state) each."""

_DIAGRAMS: tuple[tuple[str, str, _Arrows], ...] = (
    (
        "Dialogs (RFC 3261 §12, §15)",
        "`provisional`, `success` and `failure` are responses with a To tag to INVITE, SUBSCRIBE, NOTIFY or REFER (the "
        "2xx of an INVITE also without one: RFC 2543); `end` is a BYE. Each fork is a dialog of its own; one that only "
        "rang is over with the one that answered.",
        TRANSITIONS.items(),
    ),
    (
        "INVITE transactions (RFC 3261 §17, RFC 6026)",
        "A request or final response that finds its transaction already there is a retransmission. `rejected` is the "
        "state of a request that the firewall answered itself: its ACK ends here.",
        INVITE_TRANSITIONS.items(),
    ),
    (
        "Other transactions (RFC 3261 §17)",
        "PRACK (RFC 3262), UPDATE (RFC 3311), BYE, OPTIONS, REGISTER and all others. A CANCEL has one of its own and "
        "names that of its INVITE.",
        NON_INVITE_TRANSITIONS.items(),
    ),
)


def tracking_page() -> str:
    """Return the page, in Markdown with Mermaid diagrams."""
    diagrams = "".join(f"\n## {title}\n\n{text}\n\n{_mermaid(arrows)}" for title, text, arrows in _DIAGRAMS)
    return _HEAD + diagrams + _times()


def _mermaid(arrows: _Arrows) -> str:
    drawn = "".join(f"    {state} --> {following}: {trigger}\n" for (state, trigger), following in arrows)
    return f"```mermaid\nstateDiagram-v2\n{drawn}```\n"


def _times() -> str:
    rows = (
        ("a transaction", TRANSACTION_NS, "64*T1, RFC 3261 §17.1.1.2"),
        ("an emergency call unanswered, or over", UNANSWERED_NS, "who tries elsewhere at Timer B goes on with it"),
        ("a call that rings", RINGING_NS, "longer than Timer C, RFC 3261 §16.6"),
        ("an emergency call that rings", QUEUED_NS, "it may wait in a queue for a call taker"),
        ("a call in progress", DIALOG_NS, "or twice its session timer (RFC 4028), except for an emergency call"),
        ("that a caller may be called back", CALLBACK_WINDOW_NS, "RFC 7090, NENA i3"),
        ("where a caller can be asked for (Geolocation)", CALLBACK_WINDOW_NS, "RFC 6442, RFC 3856"),
        ("that the target of a REFER or redirection may be called", TRANSFER_WINDOW_NS, "RFC 3515, RFC 3261 §8.1.3.4"),
        ("that unknown in-dialog messages follow after a restart", TAKEOVER_NS, "reason `takeover`"),
    )
    lines = "".join(f"| {what} | {lasts_ns // SECOND_NS} | {why} |\n" for what, lasts_ns, why in rows)
    return (
        "\n## How long it is remembered\n\n| what | seconds since the last message of it | why |\n| --- | --- | --- |\n"
        f"{lines}\nMedia that passes is a sign of life of an emergency call, as a message of it is. "
        f"At most {MAX_CALLS} calls are known at once; `exceptions.table_full` says what happens to one more. "
        "For an emergency call the oldest ordinary call makes room; where all are emergencies, the oldest that nobody "
        "has answered, those that ring last, with an alarm `table_full`; where all of them go on, one more passes "
        "untracked and without media. "
        f"Of emergency callers {MAX_EXPECTED} numbers and addresses are remembered, those of the last calls. "
        "After a restart the calls in progress are read back from the decision log.\n"
    )
