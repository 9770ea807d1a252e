"""The daemon's turns: what waits is decided without keeping others of the loop from theirs, and deadlines are kept."""

import asyncio
import time

import pytest

from firewall.live.backlog import CALM, Backlog
from firewall.live.listener import DATAGRAMS_PER_WAKE_UP, Arrival
from firewall.live.turns import Turns
from tests.live.test_backlog import Socket, arrival

pytestmark = pytest.mark.asyncio


class Decider:
    """A driver that remembers what it was given, and an engine that wants to be woken once."""

    def __init__(self, expected: int, deadline_ns: int | None = None) -> None:
        self.given: list[Arrival] = []
        self.reached = 0
        self.deadline_ns = deadline_ns
        self.engine = self
        self.done = asyncio.Event()
        self._expected = expected

    def arrived(self, arrivals: list[Arrival]) -> None:
        self.given += arrivals
        if len(self.given) >= self._expected > 0:
            self.done.set()

    def reach(self, now_ns: int) -> None:
        assert self.deadline_ns is None or now_ns >= self.deadline_ns
        self.reached += 1
        self.deadline_ns = None
        self.done.set()

    def next_deadline(self) -> int | None:
        return self.deadline_ns


def turns_of(socket: Socket, decider: Decider) -> Turns:
    waiting = Backlog((socket,), lambda datagram: datagram.payload == b"sos")
    return Turns(asyncio.get_running_loop(), waiting, decider)


async def test_a_flood_is_worked_off_a_turn_in_each_round_of_the_loop() -> None:
    many = CALM + 2 * DATAGRAMS_PER_WAKE_UP
    decider = Decider(many)
    others: list[int] = []
    turns = turns_of(Socket(*map(arrival, range(many))), decider)
    turns.readable()
    turns.readable()
    asyncio.get_running_loop().call_soon(lambda: others.append(len(decider.given)))
    await asyncio.wait_for(decider.done.wait(), 5)
    assert len(decider.given) == many
    assert others[0] < many, "what else the loop has to do need not wait for the end of the flood"
    turns.end()


async def test_a_deadline_wakes_the_engine_unless_messages_wait_that_came_before_it() -> None:
    decider = Decider(0, time.time_ns() + 1_000_000)
    turns = turns_of(Socket(), decider)
    turns.arm_timer()
    await asyncio.wait_for(decider.done.wait(), 5)
    assert decider.reached == 1

    decider = Decider(1, time.time_ns() + 1_000_000)
    turns = turns_of(Socket(arrival(1)), decider)
    turns.arm_timer()
    await asyncio.wait_for(decider.done.wait(), 5)
    assert (len(decider.given), decider.reached) == (1, 0)
    turns.end()


async def test_what_came_over_a_connection_moves_the_deadline() -> None:
    decider = Decider(0)
    turns = turns_of(Socket(), decider)
    decider.deadline_ns = time.time_ns() + 1_000_000
    turns.serve([arrival(1)])
    await asyncio.wait_for(decider.done.wait(), 5)
    assert (len(decider.given), decider.reached) == (1, 1)
    turns.end()
