"""Prover and engine never disagree: random policies against random emergency messages, and every witness.

``make soak`` asks about SOAK_POLICIES (10 000) more.
"""

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

POLICIES, SEEDS = 250, 4
MESSAGES = 200
INSTANTS_NS = (1_768_219_200_000_000_000, 1_768_701_600_000_000_000)  # Monday noon; Sunday 03:00 in Berlin


@dataclass(frozen=True)
class Batch:
    """What came of the policies of one seed: how many of each result, and each disagreement in words."""

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
    """What comes of ``POLICIES`` random policies."""
    random, choice = Random(seed), Random(-seed - 1)
    results = {"proved": 0, "refuted": 0, "undecided": 0}
    wrong = []
    for number in range(POLICIES):
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
    return Batch(results["proved"], results["refuted"], results["undecided"], tuple(wrong))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_message_is_blocked_under_a_proved_policy_and_each_refuted_one_has_a_witness(seed: int) -> None:
    found = batch(seed)
    assert not found.disagreements
    assert found.proved > POLICIES // 20
    assert found.refuted > POLICIES // 2
    assert found.undecided <= POLICIES // 500
