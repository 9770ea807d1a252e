"""A clock that somebody sets is noticed, and nothing else is."""

import pytest

from firewall.live.clock import STEP_NS, Clock

SECOND_NS = 10**9


class Machine:
    """The machine's two clocks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 1_772_360_102 * SECOND_NS
        self.boot_ns = [100 * SECOND_NS]
        monkeypatch.setattr("firewall.live.clock.time.time_ns", lambda: self.now_ns)
        monkeypatch.setattr("firewall.live.clock.time.clock_gettime_ns", self._since_boot)

    def _since_boot(self, _: int) -> int:
        return self.boot_ns.pop(0) if len(self.boot_ns) > 1 else self.boot_ns[0]

    def wait(self, seconds: float, *, set_by_ns: int = 0) -> None:
        self.now_ns += int(seconds * SECOND_NS) + set_by_ns
        self.boot_ns[0] += int(seconds * SECOND_NS)


def test_a_step_in_either_direction_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    clock = Clock()
    machine.wait(3600)
    assert clock.step_ns() == 0
    for step_ns in (86_400 * SECOND_NS, -7 * SECOND_NS):
        machine.wait(1, set_by_ns=step_ns)
        assert [clock.step_ns(), clock.step_ns()] == [step_ns, 0]


def test_a_clock_that_is_adjusted_slowly_was_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    clock = Clock()
    for _ in range(10_000):
        machine.wait(1, set_by_ns=STEP_NS // 1000)
        assert clock.step_ns() == 0


def test_a_stop_between_two_looks_is_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    clock = Clock()
    began_ns = machine.boot_ns[0]
    machine.boot_ns = [began_ns, began_ns + 40 * SECOND_NS]
    machine.now_ns += 40 * SECOND_NS
    assert [clock.step_ns(), clock.step_ns()] == [0, 0]
