"""The daemon's work beside the packets: what runs all the time, and goes on after a defect has ended it."""

import asyncio
from collections.abc import Callable, Coroutine

AGAIN_S = 1.0
"""How long after a defect work begins anew."""

Work = Callable[[], Coroutine[None, None, None]]


class Background:
    """Runs work until ``stop``. ``told`` is given the name of work that an exception has ended, and the exception."""

    def __init__(self, told: Callable[[str, BaseException], None]) -> None:
        self._told = told
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopped = False

    def every(self, period_s: float, look: Callable[[], None] | Work) -> None:
        """Do something again and again, for the first time after ``period_s``, and after a defect at once."""

        async def again() -> None:
            while True:
                if (done := look()) is not None:
                    await done
                await asyncio.sleep(period_s)

        again.__name__ = look.__name__
        asyncio.get_running_loop().call_later(period_s, self.begin, again)

    def begin(self, work: Work) -> None:
        """Run work until it returns."""
        if self._is_stopped:
            return
        task = asyncio.get_running_loop().create_task(work())
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(work, done))

    def _ended(self, work: Work, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._told(work.__name__.strip("_"), error)
            asyncio.get_running_loop().call_later(AGAIN_S, self.begin, work)

    async def stop(self) -> None:
        """End all work, and wait for its end."""
        self._is_stopped = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
