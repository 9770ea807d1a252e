"""Whose packets are copied when; test_pinhole_sampling.py has the kernel's part of it, test_media_path.py calls."""

from typing import Any

import pytest

from firewall.engine.pinhole import Pinhole, PinholeKey
from firewall.live import sampling
from firewall.live.flow_sets import Element, element_of
from firewall.live.held_flow import Held
from firewall.live.sampling import REST_S, SAMPLE_FOR_S, Sampling


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
        return [held.pinhole.key.dst_port for _, held in self.sampling.sampled(at_s)]


def test_a_flow_is_copied_again_once_it_has_rested() -> None:
    flows = Flows()
    flows.rest(1)
    flows.rest(2, at_s=1)
    assert flows.due(REST_S - 0.1) == []
    assert flows.due(REST_S) == [1]
    assert flows.sampled() == [1]
    flows.rest(1, at_s=REST_S)
    assert flows.sampled() == []
    assert flows.due(REST_S + 1) == [2]


def test_where_not_all_can_have_their_turn_emergency_calls_are_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "SAMPLED_EACH_TIME", 3)
    flows = Flows()
    flows.rest(1, 2, 3)
    flows.rest(4, 5, at_s=0.1, is_emergency=True)
    assert flows.due(REST_S + 0.1) == [4, 5, 1]
    assert flows.due(REST_S + 0.2) == [2, 3]


def test_a_flow_without_a_packet_is_waited_for_a_moment() -> None:
    flows = Flows()
    flows.rest(1)
    assert flows.due(REST_S) == [1]
    waited_s = [REST_S + part * SAMPLE_FOR_S for part in (0.3, 0.9, 1.0, 1.1)]
    assert [flows.sampled(at_s) for at_s in waited_s] == [[1], [1], [1], []]


def test_what_the_rules_look_at_only_once_or_always_has_no_turn() -> None:
    flows = Flows()
    flows.rest(1, inspect="first")
    assert flows.due(10 * REST_S) == []
    key = PinholeKey("UDP", None, None, None, "192.0.2.2", 2)
    assert not Held(Pinhole(key, "rtp", "c", 1, inspect="all"), [key], 0).may_rest(0)


def test_so_many_each_time_so_many_at_once_and_none_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "SAMPLED_EACH_TIME", 2)
    monkeypatch.setattr(sampling, "SAMPLED_AT_ONCE", 3)
    flows = Flows()
    flows.rest(1, 2, 3, 4, 5)
    assert [flows.due(REST_S) for _ in range(3)] == [[1, 2], [3], []]
    flows.rest(2, at_s=REST_S)
    flows.sampled()
    assert [flows.due(REST_S) for _ in range(2)] == [[4], []]
    flows.sampled(REST_S + SAMPLE_FOR_S)
    assert flows.due(REST_S) == [5]


def test_what_has_closed_or_changed_since_has_its_turn_no_more() -> None:
    flows = Flows()
    flows.rest(1, 2, 3)
    closed, changed = list(flows.held)[:2]
    del flows.held[closed]
    flows.held[changed].is_resting, flows.held[changed].turned_at_s = False, 1.0
    assert flows.due(REST_S) == [3]
    flows.held[list(flows.held)[-1]].turned_at_s = 4.0
    assert flows.sampled() == []
