"""Turns in a flood: a source with many connections has no more of them than one with a single connection."""

import asyncio

import pytest

from firewall.live.shares import MESSAGES_PER_ROUND, Shares

pytestmark = pytest.mark.asyncio


class Flood:
    """Connections that each have messages for many turns, and what was decided in which round of the loop."""

    def __init__(self) -> None:
        self.shares = Shares(asyncio.get_running_loop())
        self.taken: list[tuple[int, int]] = []
        self.rounds: list[int] = [0]

    def begin(self, source: int, connection: int, turns: int) -> None:
        def turn(left: int = turns) -> None:
            self.taken.append((source, connection))
            self.rounds[-1] += 16
            self.shares.spend(16)
            if left > 1:
                self.shares.wait(source, lambda: turn(left - 1))

        self.shares.wait(source, turn)

    async def until_over(self) -> None:
        while self.shares.crowded:
            await asyncio.sleep(0)
            self.rounds.append(0)


async def test_a_source_of_many_connections_has_as_many_turns_as_that_of_one() -> None:
    flood = Flood()
    for connection in range(100):
        flood.begin(1, connection, turns=4)
    flood.begin(2, 0, turns=4)
    await flood.until_over()
    assert [source for source, _ in flood.taken[:8]] == [1, 2] * 4
    assert len(flood.taken) == 404
    assert [connection for source, connection in flood.taken if source == 1][:101] == [*range(100), 0]


async def test_a_round_of_the_loop_decides_on_so_many_and_the_next_goes_on() -> None:
    flood = Flood()
    for connection in range(50):
        flood.begin(1, connection, turns=2)
    await flood.until_over()
    assert sum(flood.rounds) == 16 * 100
    assert max(flood.rounds) <= MESSAGES_PER_ROUND


async def test_few_messages_wait_for_nobody() -> None:
    shares = Shares(asyncio.get_running_loop())
    for _ in range(100):
        shares.spend(1)
        if shares.crowded:
            await asyncio.sleep(0)
        assert not shares.crowded


async def test_a_turn_that_fails_costs_nobody_elses() -> None:
    loop = asyncio.get_running_loop()
    failures: list[object] = []
    loop.set_exception_handler(lambda _loop, context: failures.append(context["exception"]))
    shares = Shares(loop)
    taken: list[int] = []
    shares.wait(1, lambda: taken[1])
    shares.wait(2, lambda: taken.append(2))
    while shares.crowded:
        await asyncio.sleep(0)
    assert taken == [2]
    assert len(failures) == 1
