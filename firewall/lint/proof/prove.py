"""Everything that is asked about one policy, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from firewall.lint.endpoint import Pair
from firewall.lint.finding import Extent
from firewall.lint.flow import Flow, selected
from firewall.lint.probe import Questioner
from firewall.lint.proof.asking import Asker, Unanswered
from firewall.lint.proof.ban import Banned, banned
from firewall.lint.proof.context import Context, contexts, plain_pair, zone_pairs
from firewall.lint.proof.encoding import Encoding
from firewall.lint.proof.keepalive import addressed
from firewall.lint.proof.lasting import lasting_forms
from firewall.lint.proof.refute import Refuted, Refuter, Shadowed
from firewall.lint.proof.surge import Surged, surged
from firewall.lint.proof.traffic import contexts_of_anybody
from firewall.ruleset.policy import Policy


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of it. Nothing found, unanswered and untold is a proof, as far as ``extent`` says.

    ``untold`` says of which kinds of messages not all were asked about.
    """

    refuted: tuple[Refuted, ...]
    surged: tuple[Surged, ...]
    banned: tuple[Banned, ...]
    shadowed: tuple[Shadowed, ...]
    unanswered: tuple[Unanswered, ...]
    untold: tuple[str, ...]
    extent: Extent


def calling_pairs(policy: Policy) -> list[Pair]:
    """Return a plain pair of ends for each two zones between which emergency calls must pass."""
    pairs = (plain_pair(policy, caller, psap) for caller, psap in zone_pairs(policy))
    return [pair for pair in pairs if pair is not None]


def prove(
    policy: Policy,
    pairs: Sequence[Pair],
    encoding: Encoding,
    questioner: Questioner,
) -> Proof:
    """Ask whether this policy, the encoding's first, can block an emergency call between these ends."""
    encoded, asker = encoding.policies[0], Asker(encoding, policy)
    atoms = [atom for atom, _ in encoding.atoms()]
    lasting, untold = lasting_forms(policy.emergency, atoms)
    flows = selected(policy.emergency.flows)
    every = [
        context for pair in pairs for context in addressed(policy, asker, pair, contexts(policy, flows, pair, lasting))
    ]
    kinds = merged(asker, every)
    refuter = Refuter(encoded, asker, questioner)
    refuter.refute(kinds)
    refuter.list_others(kinds)
    anybodys: list[Context] = []
    for pair in pairs if any(rule.ban_ns is not None for rule in policy.rules) else ():
        found, untold = contexts_of_anybody(policy, atoms, pair)
        anybodys += found
    # How often a limit counts depends on the whole call: contexts alike stand for one another only in one flow.
    loads = surged(encoded, asker, questioner, [each for alike in _of_surge(every) for each in merged(asker, alike)])
    bans = banned(encoded, asker, questioner, list(merged(asker, anybodys)))
    return Proof(
        tuple(refuter.found),
        tuple(each for each in loads if isinstance(each, Surged)),
        tuple(each for each in bans if isinstance(each, Banned)),
        tuple(refuter.shadowed(list(kinds))),
        (*refuter.unanswered, *(each for each in (*loads, *bans) if isinstance(each, Unanswered))),
        untold,
        Extent(len(every), len(kinds), len(flows), len(pairs), len(encoding.instants), asker.questions),
    )


def merged(asker: Asker, every: Sequence[Context]) -> dict[Context, tuple[str, ...]]:
    """Return one context of each kind with the labels of all: they cannot differ in this formula.

    It is the first that is no test: what is blocked of a test call is a warning only.
    """
    kinds: dict[tuple[object, ...], list[Context]] = {}
    for context in every:
        kinds.setdefault(asker.signature(context), []).append(context)
    firsts = {min(alike, key=lambda each: each.form.is_test): alike for alike in kinds.values()}
    return {first: tuple(dict.fromkeys(each.step.label for each in alike)) for first, alike in firsts.items()}


def _of_surge(every: Sequence[Context]) -> list[list[Context]]:
    flows: dict[Flow, list[Context]] = {}
    for context in every:
        flows.setdefault(context.flow, []).append(context)
    return [alike for flow, alike in flows.items() if flow.in_surge]
