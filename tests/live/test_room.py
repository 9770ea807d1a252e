"""Who makes room when there are as many TCP connections as there may be."""

from dataclasses import dataclass

from firewall.live.connections import QUIET_S, making_room

MOST = 40  # a source with more than 10 is greedy
FLOODER, NEIGHBOUR, CALLER = 1, 2, 3
NOW = 1000.0


@dataclass(frozen=True)
class Made:
    """A connection."""

    source: int
    quiet_s: float = 0.0
    useful: bool = True
    urgent: bool = False

    @property
    def last_active(self) -> float:
        return NOW - self.quiet_s


def is_urgent(made: Made) -> bool:
    return made.urgent


def room(*connections: Made, newcomer: int | None = CALLER) -> list[Made]:
    return making_room(connections, newcomer, MOST, NOW, is_urgent)


def test_what_was_never_of_use_makes_room_first_then_what_is_quiet_the_longest() -> None:
    useless, quiet, quieter = Made(1, useful=False), Made(2, QUIET_S + 1), Made(3, QUIET_S + 2)
    assert room(Made(4), quiet, useless, quieter) == [useless]
    assert room(Made(4), quiet, quieter) == [quieter]
    assert room(Made(4), Made(5, QUIET_S)) == []


def test_a_source_that_takes_all_makes_room_before_the_quiet_connection_of_another() -> None:
    trunk = Made(NEIGHBOUR, quiet_s=3600)
    flood = [Made(FLOODER, quiet_s=float(number)) for number in range(11)]
    assert room(trunk, *flood) == [flood[-1]]
    assert room(trunk, *flood[:10]) == [trunk]


def test_a_source_that_takes_all_makes_no_room_for_itself_by_what_is_busy() -> None:
    trunk = Made(NEIGHBOUR)
    flood = [Made(FLOODER, quiet_s=float(number)) for number in range(11)]
    assert room(trunk, *flood, newcomer=FLOODER) == []
    assert room(trunk, *flood, newcomer=None) == [flood[-1]]


def test_a_large_table_makes_room_for_some_at_once() -> None:
    assert len(making_room([Made(number, 3600) for number in range(640)], CALLER, 640, NOW, is_urgent)) == 11


def test_the_connection_of_an_emergency_call_makes_room_for_nobody_while_there_is_another() -> None:
    """Who talks sends nothing: phones that only keep their connections alive are less quiet."""
    talking, quiet = Made(4, quiet_s=600, urgent=True), Made(2, quiet_s=60)
    flood = [Made(FLOODER, quiet_s=float(number), urgent=True) for number in range(11)]
    assert room(talking, quiet) == [quiet]
    assert room(talking, *flood) == [flood[-1]]
    assert room(talking, Made(3), Made(5, quiet_s=10)) == [Made(5, quiet_s=10)]
    assert room(talking) == [talking], "or nobody would get in who calls anew"
