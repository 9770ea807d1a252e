"""Work beside the packets: a defect is told, and the work goes on."""

import asyncio

import pytest

from firewall.live import background
from firewall.live.background import Background


def test_work_that_an_exception_ends_is_told_and_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "AGAIN_S", 0.0)
    told: list[tuple[str, str]] = []

    async def run() -> int:
        begun = 0
        goes_on = asyncio.Event()

        async def _count() -> None:
            nonlocal begun
            begun += 1
            if begun < 3:
                raise OSError("no buffer")
            goes_on.set()
            await asyncio.Event().wait()

        work = Background(lambda name, error: told.append((name, str(error))))
        work.begin(_count)
        await asyncio.wait_for(goes_on.wait(), 5)
        await work.stop()
        return begun

    assert asyncio.run(run()) == 3
    assert told == [("count", "no buffer")] * 2


def test_work_that_is_done_or_stopped_does_not_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "AGAIN_S", 0.0)
    begun: list[str] = []
    told: list[str] = []

    async def run() -> None:
        async def short() -> None:
            begun.append("short")

        async def long() -> None:
            begun.append("long")
            await asyncio.Event().wait()

        async def broken() -> None:
            raise ValueError

        work = Background(lambda name, _: told.append(name))
        for each in (short, long, broken):
            work.begin(each)
        while not told:
            await asyncio.sleep(0)
        await work.stop()  # what is to begin anew does not
        for _ in range(5):
            await asyncio.sleep(0)

    asyncio.run(run())
    assert begun == ["short", "long"]
    assert told == ["broken"]


def test_what_is_done_again_and_again_goes_on_after_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "AGAIN_S", 0.0)
    told: list[str] = []
    looks: list[str] = []

    async def run() -> None:
        def _look() -> None:
            looks.append("at once")
            if looks.count("at once") == 2:
                raise ValueError

        async def _wait() -> None:
            looks.append("later")

        work = Background(lambda name, _: told.append(name))
        work.every(0.0, _look)
        work.every(0.0, _wait)
        while not told or looks.count("at once") < 4 or "later" not in looks:
            await asyncio.sleep(0)
        await work.stop()

    asyncio.run(run())
    assert told == ["look"]


def test_what_is_done_again_and_again_does_not_miss_two_times_for_one_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel takes the daemon for dead, and the service manager ends it, when a sign of life is late."""
    monkeypatch.setattr(background, "AGAIN_S", 0.0)
    looks_s: list[float] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        is_done = asyncio.Event()

        def look() -> None:
            looks_s.append(loop.time())
            if len(looks_s) == 2:
                is_done.set()
            else:
                raise ValueError

        work = Background(lambda *_: None)
        begun_s = loop.time()
        work.every(0.5, look)
        await is_done.wait()
        await work.stop()
        assert looks_s[0] - begun_s >= 0.49
        assert looks_s[1] - looks_s[0] < 0.4

    asyncio.run(run())
