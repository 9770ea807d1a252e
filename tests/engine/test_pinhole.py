"""A pinhole's key is all that the kernel compares."""

from firewall.engine.pinhole import Pinhole, PinholeKey


def test_a_pinhole_keeps_its_key_when_its_verdict_changes() -> None:
    """So that the kernel replaces it instead of opening a second one."""
    key = PinholeKey("UDP", "carrier", "192.0.2.7", None, "198.51.100.2", 40000)
    assert Pinhole(key, "rtp", "c1", 1).key == Pinhole(key, "rtp", "c1", 1, verdict="drop").key
    assert hash(key) == hash(PinholeKey("UDP", "carrier", "192.0.2.7", None, "198.51.100.2", 40000))
