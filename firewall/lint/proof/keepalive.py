"""Keep-alives between other ends: what an OPTIONS says of its ends is the one thing in it that its sender chooses.

A rule may look for an address or transport in its text (``sip.from.host``, ``sip.Via``) and in its packet at once.
Where any rule's condition on the text depends on them, keep-alives are asked about one pair of ends at a time.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_address
from itertools import product

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.flow import Flow
from firewall.lint.proof.asking import Asker
from firewall.lint.proof.context import Context, contexts
from firewall.lint.proof.hosts import hosts
from firewall.net.address import Network, address_number, address_text, family
from firewall.ruleset.expression import Atom, Comparison, Contains, Field, Membership, base_field
from firewall.ruleset.fields import reader_of
from firewall.ruleset.policy import Policy

_MOST_ADDRESSES = 40
"""Addresses of one side that are tried; those that conditions name come first."""
_MOST_TOGETHER = 6
"""Of these, so many are tried with so many of the other side's; more only with its plain address."""
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]{3,}")


def addressed(policy: Policy, asker: Asker, pair: Pair, every: Sequence[Context]) -> list[Context]:
    """Return the contexts of one pair of zones, their keep-alives once for each pair of ends that matters."""
    fixed = [context for context in every if context.is_fixed]
    if not fixed or not asker.encoding.text:
        return list(every)
    flows = tuple(dict.fromkeys(context.flow for context in fixed))
    tied = [_tied(policy, flows, each) for each in _pairs(policy, asker, pair)]
    atoms = _reading_otherwise(asker, tied)
    seen = {tuple(asker.holds(atom, each.facts) for each in of_pair for atom in atoms) for of_pair in tied}
    if len(seen) <= 1:
        return list(every)
    return [
        *(context for context in every if not context.is_fixed),
        *(context for of_pair in tied for context in of_pair),
    ]


def _tied(policy: Policy, flows: tuple[Flow, ...], pair: Pair) -> list[Context]:
    """The first exchange of each flow; those after it are alike."""
    return [replace(each, is_tied=True) for each in contexts(policy, flows, pair) if each.is_fixed and each.index < 2]


def _reading_otherwise(asker: Asker, tied: Sequence[Sequence[Context]]) -> list[Atom]:
    """Return the conditions on a field that reads otherwise at other ends: few of many, where rules are many."""
    by_field: dict[Field, list[Atom]] = {}
    for atom in asker.encoding.text:
        by_field.setdefault(base_field(atom.operand), []).append(atom)
    others: list[Atom] = []
    for field, atoms in by_field.items():
        read = reader_of(field)
        if len({tuple(tuple(read(each.facts)) for each in of_pair) for of_pair in tied}) > 1:
            others += atoms
    return others


def _pairs(policy: Policy, asker: Asker, pair: Pair) -> Iterator[Pair]:
    zones = {zone.name: zone for zone in policy.zones}
    caller, psap = zones.get(pair.caller.zone or ""), zones.get(pair.psap.zone or "")
    callers = _addresses(asker, hosts(caller, psap), pair.caller)
    psaps = _addresses(asker, hosts(psap, caller), pair.psap)
    for wanted in (4, 6):
        ours = [each for each in callers if family(address_number(each.ip)) == wanted]
        theirs = [each for each in psaps if family(address_number(each.ip)) == wanted]
        if ours and theirs:
            together = product(ours[:_MOST_TOGETHER], theirs[:_MOST_TOGETHER])
            ends = (*((each, theirs[0]) for each in ours), *((ours[0], each) for each in theirs), *together)
            for one, other in dict.fromkeys(ends):
                yield Pair(one, other)
                yield Pair(replace(one, via="TCP"), replace(other, via="TCP"))


def _addresses(asker: Asker, networks: Iterable[Network], plain: Endpoint) -> list[Endpoint]:
    """Return an end at its plain address, at those that conditions name, and at one in each piece of its networks."""
    free = list(networks)
    named = [number for number in _named(asker) if any(number in network for network in free)]
    lines = asker.encoding.lines
    cuts = [cut for name in ("src", "dst") for cut in lines[name].cuts if any(cut in network for network in free)]
    others = [min(network.first + 76, network.last) for network in free]
    numbers = dict.fromkeys((address_number(plain.ip), *named, *others, *cuts))
    return [replace(plain, ip=address_text(number)) for number in list(numbers)[:_MOST_ADDRESSES]]


def _named(asker: Asker) -> Iterator[int]:
    """Yield the addresses that stand in the conditions on the text."""
    for atom in asker.encoding.text:
        match atom:
            case Comparison(_, _, str() as text) | Contains(_, text):
                texts = [text]
            case Membership(_, items):
                texts = [item for item in items if isinstance(item, str)]
            case _:
                texts = []
        for text in texts:
            for found in _ADDRESS.findall(text):
                try:
                    yield address_number(str(ip_address(found)))
                except ValueError:
                    continue
