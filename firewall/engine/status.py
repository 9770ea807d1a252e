"""What the engine tells about itself: the calls it knows, for ``sosgate ctl calls``."""

import msgspec

from firewall.engine.call import Call
from firewall.engine.timestamp import timestamp
from firewall.ruleset.emergency import wire_text


class CallStatus(msgspec.Struct, frozen=True):
    """One call in progress as an operator sees it."""

    call_id: str
    began: str
    dialogs: tuple[str, ...]
    emergency_class: str | None
    evidence: tuple[str, ...]
    outcome: str | None
    hurt: bool


def call_status(call: Call) -> CallStatus:
    """Return how one call stands."""
    mark, attempt = call.emergency, call.attempt
    return CallStatus(
        call_id=wire_text(call.call_id),
        began=timestamp(call.began_ns),
        dialogs=tuple(call.dialogs.values()),
        emergency_class=mark.emergency_class if mark else None,
        evidence=tuple(wire_text(phrase) for phrase in mark.evidence) if mark else (),
        outcome=attempt.outcome if attempt else None,
        hurt=attempt is not None and attempt.is_hurt,
    )
