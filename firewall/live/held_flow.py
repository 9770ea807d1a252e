"""One pinhole in the kernel as the daemon knows it: where its packets go at present, and what was counted of them."""

import msgspec

from firewall.engine.pinhole import FlowCount, Pinhole, PinholeKey
from firewall.live.fast_path import Egress


class Held(msgspec.Struct):
    """One element of ours. ``keys``: the pinholes it is, nearly always one. ``turn``: the count during which it was
    added. ``chain`` is where its packets go; ``is_resting``: no packets are copied at present; ``turned_at_s``: when
    that last changed; ``watched_until_s``: it does not rest before.

    ``packets`` and ``octets`` are what the element itself has counted. ``fast`` is where its packets go on the fast
    path, if they take it, and ``fast_*`` what was counted there. ``ended_*``: what elements had counted that this one
    took the place of, and what the fast path had when it was left. ``told_packets``: the count that was told last.
    """

    pinhole: Pinhole
    keys: list[PinholeKey]
    turn: int
    chain: str = ""
    refresh_at_s: float = 0.0
    is_resting: bool = False
    turned_at_s: float = 0.0
    watched_until_s: float = 0.0
    packets: int = 0
    octets: int = 0
    fast: Egress | None = None
    fast_packets: int = 0
    fast_octets: int = 0
    ended_packets: int = 0
    ended_octets: int = 0
    told_packets: int = 0

    def may_rest(self, now_s: float) -> bool:
        """Tell whether packets that are copied need not be."""
        is_needed = self.pinhole.inspect == "all" or self.watched_until_s > now_s
        return not self.is_resting and self.pinhole.verdict == "allow" and not is_needed

    def turn_to(self, now_s: float, *, is_resting: bool) -> None:
        """Have no packets copied from now on, or again."""
        self.is_resting, self.turned_at_s = is_resting, now_s

    def count(self, packets: int, octets: int) -> None:
        """Take note of what the element has counted by now; less than was noted before was read earlier."""
        if packets > self.packets:
            self.packets, self.octets = packets, octets

    def count_fast(self, packets: int, octets: int) -> None:
        """Take note of what was counted on the fast path by now."""
        if packets > self.fast_packets:
            self.fast_packets, self.fast_octets = packets, octets

    def end(self) -> tuple[int, int]:
        """Let the element be one that has ended; return what it had counted, as far as it is known."""
        known = self.packets, self.octets
        self.packets = self.octets = 0
        self.add_ended(*known)
        return known

    def end_fast(self, packets: int, octets: int) -> None:
        """Let the fast path be left, which had counted so much."""
        self.fast = None
        self.fast_packets = self.fast_octets = 0
        self.add_ended(packets, octets)

    def add_ended(self, packets: int, octets: int) -> None:
        """Have elements that have ended counted so many more, or fewer."""
        self.ended_packets += packets
        self.ended_octets += octets

    def all_packets(self) -> int:
        """Return how many packets were counted, wherever they went."""
        return self.ended_packets + self.packets + self.fast_packets

    def counts(self) -> list[FlowCount]:
        """Return what is known, for each pinhole, as told from now on."""
        self.told_packets = self.all_packets()
        octets = self.ended_octets + self.octets + self.fast_octets
        return [FlowCount(key, self.told_packets, octets) for key in self.keys]
