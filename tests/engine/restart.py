"""An earlier run, its log, and the firewall that starts with it."""

from firewall.engine.outputs import Write
from firewall.engine.record import encode
from tests.messages import request, response
from tests.scene import Scene, Told, policy

INVITES_ONLY = "  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"
CALLER = "sip:6175550123@192.0.2.10"


def log_of(*told: Told) -> list[bytes]:
    """The lines that a log has after all of this."""
    return [encode(o.record) for t in told for o in t.outputs if isinstance(o, Write)]


def restarted(log: list[bytes], *, at_s: float) -> Scene:
    return Scene(policy(INVITES_ONLY), past=log, at_s=at_s)


def an_answered_call(uri: str = "sip:6175550199@h") -> list[bytes]:
    scene = Scene(policy(INVITES_ONLY))
    invite = request(uri=uri)
    return log_of(
        scene.carrier(invite), scene.psap(response(invite, 180), at_s=1), scene.psap(response(invite), at_s=2)
    )


RULES = "  - {name: no-info, when: 'sip.Method == \"INFO\"', action: drop}\n  - {name: all, action: allow}"


def restarted_with(log: list[bytes], *, at_s: float) -> Scene:
    return Scene(policy(RULES), takeover=True, past=log, at_s=at_s)


def a_911_call(*statuses: int) -> tuple[Scene, list[bytes]]:
    scene = Scene(policy(RULES))
    invite = request()
    told = [scene.carrier(invite), *(scene.psap(response(invite, status), at_s=1) for status in statuses)]
    return scene, log_of(*told)
