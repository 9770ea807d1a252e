"""Every fuzz target holds for its committed corpus and for some thousand mutations of it."""

import itertools
import time

import pytest

from tests.fuzz.mutation import CORPUS, mutations, seeds
from tests.fuzz.run import SLOWEST_S
from tests.fuzz.targets import TARGETS

MUTATIONS = 1000


def test_every_target_has_its_corpus() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_holds_for_its_corpus(target: str) -> None:
    for data in seeds(target):
        TARGETS[target](data)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_holds_for_mutations_of_its_corpus(target: str) -> None:
    for data in itertools.islice(mutations(seeds(target), seed=1), MUTATIONS):
        TARGETS[target](data)


def test_no_mutated_message_is_slow() -> None:
    for data in itertools.islice(mutations(seeds("message"), seed=2), MUTATIONS):
        begun_s = time.process_time()
        TARGETS["message"](data)
        assert time.process_time() - begun_s < SLOWEST_S


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_says_in_its_first_line_what_holds(target: str) -> None:
    assert (TARGETS[target].__doc__ or "").endswith(".")
