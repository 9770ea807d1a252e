"""Prover and engine never disagree: 10 000 random policies against random emergency messages, and every witness."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from random import Random

import pytest

from firewall.lint.flow import selected
from firewall.lint.probe import Questioner
from firewall.lint.proof.asking import Asker
from firewall.lint.proof.context import contexts
from firewall.lint.proof.encoding import Encoding
from firewall.lint.proof.lasting import lasting_forms
from firewall.lint.proof.prove import calling_pairs, merged
from firewall.lint.proof.refute import Refuter
from firewall.ruleset.policy import Policy, Rule
from tests.lint.proof.policies import MOST_RULES, Message, emergency_messages, random_policy, varied

POLICIES = 10_000
BATCHES = 20
MESSAGES = 200
INSTANTS_NS = (1_768_219_200_000_000_000, 1_768_701_600_000_000_000)  # Monday noon; Sunday 03:00 in Berlin


@dataclass(frozen=True)
class Batch:
    """What came of the policies of one seed: how many of each result, and each disagreement in words."""

    seed: int
    proved: int
    refuted: int
    undecided: int
    disagreements: tuple[str, ...]


def blocker(policy: Policy, message: Message, now_ns: int) -> Rule | str | None:
    """First match decides; what follows an allowed message passes; the rest gets the default (DESIGN section 5)."""
    for rule in policy.rules:
        if rule.shadow or not rule.matches(message.facts):
            continue
        if rule.schedule is None or rule.schedule.active(now_ns):
            return None if rule.action == "allow" else rule
    return None if message.follows or policy.default == "allow" else "default"


def refuted(policy: Policy, questioner: Questioner) -> Refuter:
    """The proof about single calls, as ``prove`` asks for it."""
    encoding = Encoding([policy])
    asker = Asker(encoding, policy)
    flows = selected(policy.emergency.flows)
    lasting, _ = lasting_forms(policy.emergency, [atom for atom, _ in encoding.atoms()])
    every = [each for pair in calling_pairs(policy) for each in contexts(policy, flows, pair, lasting)]
    refuter = Refuter(encoding.policies[0], asker, questioner)
    refuter.refute(merged(asker, every))
    return refuter


def batch(seed: int) -> Batch:
    random, choice = Random(seed), Random(-seed - 1)
    results = {"proved": 0, "refuted": 0, "undecided": 0}
    wrong = []
    for number in range(POLICIES // BATCHES):
        policy = random_policy(random)
        told = f"seed {seed}, policy {number}: {[(rule.when_text, rule.action) for rule in policy.rules]}"
        questioner = Questioner(policy)
        refuter = refuted(policy, questioner)
        if refuter.found:
            results["refuted"] += 1
            if not all(questioner.confirms(each.blocked.witness()) for each in refuter.found):
                wrong.append(f"a witness that the engine lets pass: {told}")
        elif refuter.unanswered:
            results["undecided"] += 1
        else:
            results["proved"] += 1
            # What a list leaves out is one form among hundreds.
            every, is_list = emergency_messages(), len(policy.rules) > MOST_RULES
            for message in every if is_list else choice.sample(every, MESSAGES):
                tried = varied(message, choice)
                blocked = next((each for now in INSTANTS_NS if (each := blocker(policy, tried, now))), None)
                if blocked is not None:
                    wrong.append(f"{told}: {blocked} blocks {tried.facts.datagram}")
    return Batch(seed, results["proved"], results["refuted"], results["undecided"], tuple(wrong))


@pytest.mark.timeout(1200)  # 100 s with two cores of one's own
def test_no_message_is_blocked_under_a_proved_policy_and_each_refuted_one_has_a_witness() -> None:
    with ProcessPoolExecutor() as workers:
        batches = list(workers.map(batch, range(BATCHES)))
    for each in batches:
        print(f"seed {each.seed}: {each.proved} proved, {each.refuted} refuted, {each.undecided} undecided")
    assert not [wrong for each in batches for wrong in each.disagreements]
    assert sum(each.proved for each in batches) > POLICIES // 20
    assert sum(each.refuted for each in batches) > POLICIES // 2
    assert sum(each.undecided for each in batches) <= POLICIES // 500
