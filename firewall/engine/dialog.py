"""Dialog states as a proxy sees them: one transition table (RFC 3261 §12, §13, §15)."""

from collections.abc import Collection, Mapping
from typing import Literal

from firewall.ruleset.facts import DialogState
from firewall.sip.message import NO_TAG, DialogId, Message, Request

Trigger = Literal["provisional", "success", "failure", "end"]

# What is not in the table changes nothing.
TRANSITIONS: dict[tuple[DialogState, Trigger], DialogState] = {
    ("none", "provisional"): "early",  # RFC 3261 §12.1: a 101-199 with a To tag
    ("none", "success"): "confirmed",  # §12.1: a 2xx
    ("early", "success"): "confirmed",
    ("early", "failure"): "terminated",  # §12.3: a non-2xx final response to the request that began it
    ("early", "end"): "terminated",  # §15: BYE on an early dialog
    ("confirmed", "end"): "terminated",  # §15.1: BYE ends the dialog when it is sent
}

# RFC 3261 §12.1 (INVITE), RFC 6665 §4.4.1 (SUBSCRIBE, NOTIFY), RFC 3515 §2.4.6 (REFER): what begins a dialog.
DIALOG_METHODS = frozenset({"INVITE", "SUBSCRIBE", "NOTIFY", "REFER"})


def trigger_of(message: Message) -> Trigger | None:
    """Return what a forwarded message does to the dialog it names, None when it does nothing."""
    if isinstance(message, Request):
        return "end" if message.method == "BYE" else None
    return response_trigger(message.cseq_method, message.status_code)


def response_trigger(cseq_method: str | None, status_code: int) -> Trigger | None:
    """Return what a response to a request of this method does to the dialog it names."""
    if cseq_method not in DIALOG_METHODS or status_code == 100:
        return None
    if status_code < 200:
        return "provisional"
    return "success" if status_code < 300 else "failure"


def next_state(state: DialogState, trigger: Trigger | None) -> DialogState:
    """Return the state after a trigger (``TRANSITIONS``)."""
    return state if trigger is None else TRANSITIONS.get((state, trigger), state)


def half_named_dialog(
    tags: tuple[str | None, str | None],
    known_tags: Collection[str],
    known: Mapping[DialogId, DialogState],
    *,
    is_answer: bool,
) -> DialogId | None:
    """Return the dialog of a message that lacks its From or its To tag, None when it names none.

    The tag of a side that sends none is null (RFC 3261 §12.1.1, §12.1.2). Where the caller has one, a message without
    it has lost it on its way: it would make a dialog that no BYE ends. ``is_answer``: it is the 2xx of an INVITE.
    """
    from_tag, to_tag = tags
    if to_tag is not None:
        return (NO_TAG, to_tag) if not known_tags or NO_TAG in known_tags else None
    untagged = NO_TAG, from_tag or NO_TAG
    return untagged if untagged in known or (is_answer and "confirmed" not in known.values()) else None
