"""What is asked of nftables and how its answers are read; test_pinholes.py has the kernel at the other end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.live import testbed as live_testbed
from firewall.live.flow_messages import FlowQuestions, add_element, delete_element, read_elements
from firewall.live.flow_sets import Element, element_of
from firewall.live.netlink import messages
from tests.live.kernel_sets import Kernel, pinhole

ELEMENT = Element("media4", bytes.fromhex("c000020a c633640a 9c400000"))


def test_an_element_is_read_as_it_was_added() -> None:
    added = add_element(ELEMENT, 600_000, is_accepted=True, comment="rtp carrier 1@192.0.2.10")
    ((kind, *_, start, end),) = messages(added)
    assert kind == 0xA0C
    (found,) = read_elements(added, start, end, whole=True)
    assert (found.key, found.comment) == (ELEMENT.key, "rtp carrier 1@192.0.2.10")
    assert (found.packets, found.octets, found.timeout_ms) == (0, 0, 600_000)


def test_what_removes_an_element_names_nothing_but_its_key() -> None:
    removed = delete_element(ELEMENT)
    ((kind, *_, start, end),) = messages(removed)
    assert kind == 0xA0E
    (found,) = read_elements(removed, start, end, whole=True)
    assert (found.key, found.comment) == (ELEMENT.key, "")


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    list(read_elements(data, 0, len(data), whole=True))


@pytest.mark.netns
def test_more_elements_than_one_answer_holds_are_all_told_and_each_asked_for_is_found(kernel: Kernel) -> None:
    holes = [pinhole(40_000 + number) for number in range(700)]
    kernel.pinholes.change(holes, [])
    questions = live_testbed.in_namespace(kernel.namespace, FlowQuestions)
    listed = questions.elements("sample_media4", whole=True)
    keys = {found.key for found in next(listed)}
    assert 0 < len(keys) < 700
    places = [Element("sample_media4", element_of(hole.key).key) for hole in holes]
    places.insert(350, Element("first_media4", places[0].key))  # is not there
    counted = list(questions.counted(places))  # in the middle of the other answer
    assert [number for number, _ in counted] == [number for number in range(701) if number != 350]
    assert all(places[number].key == found.key for number, found in counted)
    keys |= {found.key for part in listed for found in part}
    assert len(keys) == 700
    questions.close()


@pytest.mark.netns
def test_an_answer_that_was_not_heard_out_spoils_no_other(kernel: Kernel) -> None:
    kernel.pinholes.change([pinhole(40_000 + number) for number in range(700)], [])
    questions = live_testbed.in_namespace(kernel.namespace, FlowQuestions)
    next(questions.elements("sample_media4"))
    assert [found for part in questions.elements("first_media4") for found in part] == []
    next(questions.elements("sample_media4"))
    assert sum(len(part) for part in questions.elements("sample_media4")) == 700
    questions.close()


@pytest.mark.netns
def test_what_is_not_there_is_empty(kernel: Kernel) -> None:
    questions = live_testbed.in_namespace(kernel.namespace, FlowQuestions)
    assert [found for part in questions.elements("no_such_set") for found in part] == []
    questions.close()
