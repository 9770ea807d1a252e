"""Whose packets are copied when; test_pinhole_sampling.py has the kernel's part of it, test_media_path.py calls."""

from typing import Any

import pytest

from firewall.engine.pinhole import FlowCount, Pinhole, PinholeKey
from firewall.live import sampling
from firewall.live.flow_sets import Element, element_of
from firewall.live.sampling import REST_S, Held, Sampling


class Flows:
    """Flows by port, and what the sampling says of them."""

    def __init__(self) -> None:
        self.held: dict[Element, Held] = {}
        self.sampling = Sampling(lambda element, held: self.held.get(element) is held)

    def rest(self, *ports: int, at_s: float = 0.0, **changes: Any) -> None:
        for port in ports:
            pinhole = Pinhole(PinholeKey("UDP", None, "192.0.2.1", None, "192.0.2.2", port), "rtp", "c", 1, **changes)
            held = self.held.setdefault(element_of(pinhole.key), Held(pinhole, [pinhole.key], 0))
            self.sampling.rest(element_of(pinhole.key), held, at_s)

    def due(self, at_s: float) -> list[int]:
        return [held.pinhole.key.dst_port for _, held in self.sampling.due(at_s)]

    def sampled(self, at_s: float = REST_S) -> list[int]:
        return [held.pinhole.key.dst_port for _, held in self.sampling.take_sampled(at_s)]


def test_a_flow_is_copied_again_once_it_has_rested() -> None:
    flows = Flows()
    flows.rest(1)
    flows.rest(2, at_s=1)
    assert flows.due(REST_S - 0.1) == []
    assert flows.due(REST_S) == [1]
    assert (flows.sampled(), flows.sampled()) == ([1], [])
    assert flows.due(REST_S + 1) == [2]


def test_what_the_rules_look_at_only_once_or_always_has_no_turn() -> None:
    flows = Flows()
    flows.rest(1, inspect="first")
    assert flows.due(10 * REST_S) == []
    key = PinholeKey("UDP", None, None, None, "192.0.2.2", 2)
    assert not Held(Pinhole(key, "rtp", "c", 1, inspect="all"), [key], 0).may_rest(0)


def test_so_many_at_once_and_none_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "SAMPLED_AT_ONCE", 2)
    flows = Flows()
    flows.rest(1, 2, 3, 4, 5)
    seen = []
    for _ in range(3):
        seen.append(flows.due(REST_S))
        flows.sampled()
    assert seen == [[1, 2], [3, 4], [5]]


def test_what_has_closed_or_changed_since_has_its_turn_no_more() -> None:
    flows = Flows()
    flows.rest(1, 2, 3)
    closed, changed = list(flows.held)[:2]
    del flows.held[closed]
    flows.held[changed].is_resting, flows.held[changed].turned_at_s = False, 1.0
    assert flows.due(REST_S) == [3]
    flows.held[list(flows.held)[-1]].turned_at_s = 4.0
    assert flows.sampled() == []


def test_what_is_told_is_told_once_and_what_passed_is_what_the_present_element_counted() -> None:
    key = PinholeKey("UDP", None, None, None, "192.0.2.2", 1)
    held = Held(Pinhole(key, "rtp", "c", 1), [key], 0, before_packets=7, packets=9, octets=300)
    assert held.passed() == 2
    assert held.counts() == [FlowCount(key, 9, 300)]
    assert held.told_packets == 9
