"""Work that is cancelled ends: nothing that swallows a cancellation is used."""

from pathlib import Path

FIREWALL = Path(__file__).parents[2] / "firewall"


def test_nothing_waits_by_what_may_swallow_its_cancellation() -> None:
    # Until Python 3.12 asyncio.wait_for returns what came in the instant of the cancellation, and the work goes on for
    # ever, with the daemon that waits for its end. asyncio.timeout does not.
    found = [path.name for path in FIREWALL.rglob("*.py") if "asyncio.wait_for" in path.read_text(encoding="utf-8")]
    assert not found
