"""Changes of the kernel's elements: what it refuses spoils nothing else, and what is replaced goes on counting."""

import errno
import socket
from collections.abc import Iterator

import pytest

from firewall.live import testbed as live_testbed
from firewall.live.flow_changes import Addition, Change, Removal, carry_out
from firewall.live.flow_messages import add_element
from firewall.live.flow_sets import DROP_CHAIN, Element, element_of
from firewall.live.held_flow import Held
from firewall.live.netlink import NETFILTER, NetlinkSocket
from tests.live.kernel_sets import Kernel, pinhole, send

pytestmark = pytest.mark.netns

KEY = element_of(pinhole().key).key
HERE, NOWHERE = Element("sample_media4", KEY), Element("no_such_set", KEY)
OTHER = Element("sample_media4", element_of(pinhole(40_002).key).key)


@pytest.fixture
def opened(kernel: Kernel) -> Iterator[NetlinkSocket]:
    netfilter = live_testbed.in_namespace(kernel.namespace, lambda: NetlinkSocket(NETFILTER))
    yield netfilter
    netfilter.close()


def held() -> Held:
    flow = Held(pinhole(), [pinhole().key], 0, chain="media_sample")
    flow.count(5, 500)
    return flow


def moved(flow: Held, to: Element, chain: str) -> list[Change]:
    removal = Removal(HERE, flow, *flow.end(), chain=flow.chain)
    flow.chain = chain
    return [removal, Addition(add_element(to, 60_000))]


def test_what_is_refused_spoils_nothing_and_is_told_once(kernel: Kernel, opened: NetlinkSocket) -> None:
    changes: list[Change] = [
        Removal(HERE),
        Addition(add_element(HERE, 60_000)),
        Addition(add_element(NOWHERE, 60_000)),
    ]
    outcome = carry_out(opened, changes)
    assert (outcome.refused, outcome.has_added) == ((errno.ENOENT,), True)
    assert kernel.ways() == ["media_sample"]
    outcome = carry_out(opened, [changes[2]])
    assert (outcome.refused, outcome.has_added) == ((errno.ENOENT,), False)
    carry_out(opened, [changes[0], changes[2]])  # which are not one flow's
    assert kernel.ways() == []


def test_an_element_that_is_refused_elsewhere_stays_unless_it_should_pass_no_more(
    kernel: Kernel, opened: NetlinkSocket
) -> None:
    carry_out(opened, [Addition(add_element(HERE, 60_000))])
    flow = held()
    carry_out(opened, moved(flow, NOWHERE, "accept"))
    assert kernel.ways() == ["media_sample"]
    assert (flow.chain, flow.packets, flow.ended_packets) == ("media_sample", 5, 0)
    carry_out(opened, moved(flow, NOWHERE, DROP_CHAIN))
    assert kernel.ways() == []


def test_an_element_is_moved_in_one_transaction(
    kernel: Kernel, opened: NetlinkSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firewall.live.flow_changes._CHANGES_PER_TRANSACTION", 2)
    carry_out(opened, [Addition(add_element(HERE, 60_000))])
    flow = held()
    carry_out(opened, [Addition(add_element(OTHER, 60_000)), *moved(flow, NOWHERE, "accept")])
    assert kernel.ways() == ["media_sample"] * 2
    assert flow.chain == "media_sample"


def test_it_is_told_whether_anything_was_added_in_any_transaction(
    kernel: Kernel, opened: NetlinkSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firewall.live.flow_changes._CHANGES_PER_TRANSACTION", 1)
    addition, removal = Addition(add_element(HERE, 60_000)), Removal(HERE)
    assert carry_out(opened, [addition, removal]).has_added
    assert not carry_out(opened, [removal]).has_added
    assert kernel.ways() == []


@pytest.mark.parametrize("times", [1, 2])
def test_a_flow_goes_on_counting_from_what_its_element_had_at_its_end_however_often_it_is_replaced_at_once(
    kernel: Kernel, opened: NetlinkSocket, flow: tuple[socket.socket, socket.socket], times: int
) -> None:
    kernel.pinholes.change([pinhole()], [])
    send(flow, 7)
    known = held()
    carry_out(opened, [change for _ in range(times) for change in moved(known, HERE, "media_sample")])
    assert (known.packets, known.ended_packets, known.all_packets()) == (0, 7, 7)


class Deaf(NetlinkSocket):
    """A socket that takes nothing."""

    def send(self, data: bytes) -> None:
        raise OSError(errno.ENOBUFS, f"no room for {len(data)} bytes")


def test_where_nothing_is_taken_everything_is_as_it_was() -> None:
    flow, deaf = held(), Deaf(NETFILTER)
    outcome = carry_out(deaf, moved(flow, HERE, "accept"))
    deaf.close()
    assert outcome.refused == (errno.ENOBUFS,) * 2
    assert (flow.chain, flow.packets, flow.ended_packets) == ("media_sample", 5, 0)
