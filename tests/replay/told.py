"""The story of what a scene told, by way of its log."""

from firewall.engine.outputs import Write
from firewall.engine.record import encode
from firewall.replay.story import Story, call_records, tell
from tests.scene import ALL, Told

CALL_ID = "call-1@192.0.2.10"


def log_of(*told: Told) -> list[bytes]:
    return [encode(o.record) + b"\n" for t in told for o in t.outputs if isinstance(o, Write)]


def story_of(*told: Told) -> Story:
    story = tell(CALL_ID, call_records(log_of(*told), CALL_ID))
    assert story is not None
    return story


def dropping(condition: str) -> str:
    """Return rules of which one drops what fits a condition; all else is let through."""
    return f"  - {{name: lossy, when: '{condition}', action: drop}}\n{ALL}"
