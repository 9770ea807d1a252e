"""What the kernel is asked about its sets; nft put there what it should answer."""

import pytest

from firewall.live import testbed as live_testbed
from firewall.live.flow_questions import FlowQuestions
from firewall.live.flow_sets import Element, element_of
from tests.live.kernel_sets import Kernel, pinhole

pytestmark = pytest.mark.netns


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


def test_an_answer_that_was_not_heard_out_spoils_no_other(kernel: Kernel) -> None:
    kernel.pinholes.change([pinhole(40_000 + number) for number in range(700)], [])
    questions = live_testbed.in_namespace(kernel.namespace, FlowQuestions)
    next(questions.elements("sample_media4"))
    assert [found for part in questions.elements("first_media4") for found in part] == []
    next(questions.elements("sample_media4"))
    assert sum(len(part) for part in questions.elements("sample_media4")) == 700
    questions.close()


def test_what_is_not_there_is_empty(kernel: Kernel) -> None:
    questions = live_testbed.in_namespace(kernel.namespace, FlowQuestions)
    assert [found for part in questions.elements("no_such_set") for found in part] == []
    questions.close()
