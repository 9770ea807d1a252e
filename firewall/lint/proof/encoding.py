"""Encode: the interpreter for proofs. Rules become literals of one formula, exactly what ``evaluate`` computes.

Every atom is one literal. What an atom about a packet's numbers means is encoded at once (``line.py``); what one
about the message's text means is asked of ``language`` when a model needs it; the other facts (method, emergency,
dialog state …) are given by the context in which the formula is asked.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, assert_never

from firewall.lint.endpoint import interfaces_of
from firewall.lint.instant import activities
from firewall.lint.proof.atom import cuts, normal, subject
from firewall.lint.proof.formula import Formula, Model
from firewall.lint.proof.line import ADDRESSES, ENDS, IPV4_END, PORTS, Line, LineName
from firewall.net.address import IPV4_FIRST, Network, address_number, address_text, family
from firewall.net.datagram import Datagram, Transport
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.expression import (
    And,
    Atom,
    Comparison,
    Condition,
    Contains,
    Exists,
    Matches,
    Membership,
    Not,
    Or,
    SetMembers,
    atoms,
)
from firewall.ruleset.facts import Facts
from firewall.ruleset.network_set import merged
from firewall.ruleset.policy import EmergencyPolicy, Policy, Rule, Zone
from firewall.ruleset.schedule import Schedule
from firewall.ruleset.zones import zone_finder

OPEN_NETWORKS = tuple(
    Network(address_number(first), address_number(last))
    for first, last in (
        ("1.0.0.0", "126.255.255.255"),
        ("128.0.0.0", "223.255.255.255"),
        ("2000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    )
)
"""The addresses a host can have that no policy places: unicast, not of this machine (RFC 6890, RFC 4291 §2.4)."""
EPHEMERAL_PORT = 32_768
"""The first port that an operating system gives who asks for none (Linux; RFC 6335 §6 has 49152)."""


@dataclass(frozen=True, slots=True)
class EncodedRule:
    """One rule: ``matches`` when it takes the message if it gets it, ``decides`` when no earlier rule took it.

    ``above`` is the choice whether the rule's limit is exceeded (true where it has none).
    """

    rule: Rule
    matches: int
    decides: int
    above: int


@dataclass(frozen=True, slots=True)
class EncodedPolicy:
    """A policy's rules in order, and the literal that none of the enforced ones decides."""

    policy: Policy
    rules: tuple[EncodedRule, ...]
    unmatched: int


class Encoding:
    """One formula for everything that is asked about some policies.

    ``text`` are the atoms about the message's text. ``own`` are those whose truth comes with the context; a policy
    reads them in its own way (what it calls an emergency), hence the number of its *view* in their keys.
    ``psap_opens``: the PSAP does not send from where it listens (``Asker``).
    """

    def __init__(self, policies: Sequence[Policy], more: Sequence[Condition] = ()) -> None:
        """Encode policies; ``more`` are conditions that will be asked about beside their rules."""
        self.formula = Formula()
        self.is_tcp, self.psap_opens = self.formula.new(), self.formula.new()
        self.text: dict[Atom, int] = {}
        self.own: dict[tuple[int, Atom], int] = {}
        self._literals: dict[tuple[int, Atom], int] = {}
        self._views = list(dict.fromkeys(_view(policy) for policy in policies))
        self._zones = [zone_finder(zones) for zones, _ in self._views]
        self._zone_cuts = sorted(_zone_cuts(policies))
        conditions = [rule.when for policy in policies for rule in policy.rules if rule.when is not None]
        self.lines = self._make_lines([*conditions, *more], policies)
        self._one_family()
        zones = [zone for policy in policies for zone in policy.zones]
        named = (name for zone in zones for name in zone.interfaces)
        names = dict.fromkeys((None, *interfaces_of(None, zones), *named))
        self.interfaces = {name: self.formula.new() for name in names}
        self.formula.exactly_one(list(self.interfaces.values()))
        self.instants, self._schedules = self._encode_time(policies)
        self.policies = tuple(self._encode_policy(policy) for policy in policies)

    def view(self, policy: Policy) -> int:
        """Return the number of the view a policy has of emergencies and zones."""
        return self._views.index(_view(policy))

    def literal(self, condition: Condition | None, view: int = 0) -> int:
        """Return the literal that a condition holds; None is the condition of a rule that matches everything."""
        return self.formula.true if condition is None else self._literal(normal(condition), view)

    def instant_ns(self, model: Model) -> int:
        """Return an instant at which those rules are active that a model has active."""
        return next(at_ns for at_ns, chosen in self.instants if model.holds(chosen))

    def transport(self, model: Model) -> Transport:
        """Return the transport of a model's packet."""
        return "TCP" if model.holds(self.is_tcp) else "UDP"

    def atoms(self) -> Iterator[tuple[Atom, int]]:
        """Yield every atom of the rules with its literal."""
        for (_, atom), literal in self._literals.items():
            yield atom, literal

    def schedules(self) -> dict[Schedule, int]:
        """Return the schedules of the rules, each with the literal that it is active."""
        return dict(self._schedules)

    def interface(self, model: Model) -> str | None:
        """Return the interface by which a model's packet comes, None where it is not known."""
        return next(name for name, chosen in self.interfaces.items() if model.holds(chosen))

    def _literal(self, condition: Condition, view: int) -> int:
        match condition:
            case Not(inner):
                return -self._literal(inner, view)
            case And(conditions):
                return self.formula.all_of([self._literal(each, view) for each in conditions])
            case Or(conditions):
                return self.formula.any_of([self._literal(each, view) for each in conditions])
            case Comparison() | Membership() | Contains() | Matches() | Exists():
                key = (view, condition)
                known = self._literals.get(key)
                if known is None:
                    known = self._literals[key] = self._atom(condition, view)
                return known
            case _:
                assert_never(condition)

    def _atom(self, atom: Atom, view: int) -> int:
        about = subject(atom)
        match about:
            case "text":
                return self.text.setdefault(atom, self.text.get(atom) or self.formula.new())
            case "own":
                literal = self.own[view, atom] = self.formula.new()
                return literal
            case "transport":
                holds = compile_condition(atom)
                return self.is_tcp if holds(Facts(_packet("src", 0, "TCP"))) else -self.is_tcp
            case "zone_src" | "zone_dst":
                return self._zone_atom(atom, view, about)
            case "src" | "dst" | "frame_len":
                holds = compile_condition(atom)

                def holds_of(number: int) -> bool:
                    return holds(Facts(_packet(about, number)))

                if isinstance(atom, Membership) and about != "frame_len":
                    return self._listed(atom, self.lines[about], holds_of)
                return self.lines[about].where(cuts(atom), holds_of)
            case "sport" | "dport":
                return self._port_atom(atom, about)
            case _:
                assert_never(about)

    def _listed(self, atom: Membership, line: Line, holds_of: Callable[[int], bool]) -> int:
        """Addresses that are listed, maybe many: of each family one tells whether the field reads them."""
        items = (each.members if isinstance(each, SetMembers) else (each,) for each in atom.items)
        networks = merged(each for listed in items for each in listed if isinstance(each, Network))
        one_of_each = {family(each.first): each.first for each in networks}
        read = {which for which, number in one_of_each.items() if holds_of(number)}
        return self.formula.any_of(
            line.within(each.first, each.last) for each in networks if family(each.first) in read
        )

    def _port_atom(self, atom: Atom, about: LineName) -> int:
        """A port is of UDP or of TCP: the atom of one is false (or, for ``!=``, false too) in the other."""
        holds, line = compile_condition(atom), self.lines[about]
        udp = line.where(cuts(atom), lambda number: holds(Facts(_packet(about, number, "UDP"))))
        tcp = line.where(cuts(atom), lambda number: holds(Facts(_packet(about, number, "TCP"))))
        formula = self.formula
        return formula.any_of([formula.all_of([-self.is_tcp, udp]), formula.all_of([self.is_tcp, tcp])])

    def _zone_atom(self, atom: Atom, view: int, about: Literal["zone_src", "zone_dst"]) -> int:
        holds, find, formula = compile_condition(atom), self._zones[view], self.formula

        def in_zone(number: int, interface: str | None) -> bool:
            zone = find((address_text(number), interface))
            packet = _packet("src", 0)
            return holds(Facts(packet, zone_src=zone) if about == "zone_src" else Facts(packet, zone_dst=zone))

        if about == "zone_dst":  # the interface a packet will leave by is not known when it comes
            return self.lines["dst"].where(self._zone_cuts, lambda number: in_zone(number, None))
        line = self.lines["src"]
        return formula.any_of(
            formula.all_of([chosen, line.where(self._zone_cuts, partial(in_zone, interface=name))])
            for name, chosen in self.interfaces.items()
        )

    def _make_lines(self, conditions: Sequence[Condition], policies: Sequence[Policy]) -> dict[LineName, Line]:
        found: dict[LineName, set[int]] = {name: set() for name in ENDS}
        for atom in dict.fromkeys(atom for condition in conditions for atom in atoms(normal(condition))):
            about = subject(atom)
            if about in ("src", "dst", "sport", "dport", "frame_len"):
                found[about].update(cuts(atom))
        for name in ADDRESSES:
            found[name].update(self._zone_cuts, (IPV4_FIRST, IPV4_END))
        for name in PORTS:
            found[name].update(
                end for policy in policies for port in policy.signalling_ports for end in (port, port + 1)
            )
            found[name].update((1, EPHEMERAL_PORT))
        return {name: Line(name, self.formula, found[name]) for name in ENDS}

    def _one_family(self) -> None:
        """Demand that both addresses of a packet are of one family."""
        source, destination = (self.lines[name].within(IPV4_FIRST, IPV4_END - 1) for name in ("src", "dst"))
        self.formula.add([-source, destination])
        self.formula.add([source, -destination])

    def _encode_time(self, policies: Sequence[Policy]) -> tuple[list[tuple[int, int]], dict[Schedule, int]]:
        """One variable for each combination of active schedules that ever comes, with an instant of it."""
        formula = self.formula
        schedules = list(dict.fromkeys(r.schedule for p in policies for r in p.rules if r.schedule is not None))
        active = {schedule: formula.new() for schedule in schedules}
        instants = []
        for at_ns, activity in activities(schedules):
            chosen = formula.new()
            instants.append((at_ns, chosen))
            for schedule, is_active in zip(schedules, activity, strict=True):
                formula.add([-chosen, active[schedule] if is_active else -active[schedule]])
        formula.exactly_one([chosen for _, chosen in instants])
        return instants, active

    def _encode_policy(self, policy: Policy) -> EncodedPolicy:
        formula, view = self.formula, self.view(policy)
        before = formula.true
        rules = []
        for rule in policy.rules:
            above = formula.new() if rule.limit is not None else formula.true
            scheduled = self._schedules[rule.schedule] if rule.schedule is not None else formula.true
            matches = formula.all_of([self.literal(rule.when, view), scheduled, above])
            rules.append(EncodedRule(rule, matches, formula.all_of([before, matches]), above))
            if not rule.shadow:
                before = formula.all_of([before, -matches])
        return EncodedPolicy(policy, tuple(rules), before)


def _view(policy: Policy) -> tuple[tuple[Zone, ...], EmergencyPolicy]:
    return policy.zones, policy.emergency


def _zone_cuts(policies: Sequence[Policy]) -> set[int]:
    networks = [network for policy in policies for zone in policy.zones for network in zone.networks]
    networks += OPEN_NETWORKS
    # Where a network's own and its broadcast address stand apart: no host has them.
    return {cut for n in networks for cut in (n.first, n.first + 1, n.last, n.last + 1)}


def _packet(name: LineName, number: int, transport: Transport = "UDP") -> Datagram:
    """Return a packet that has this number on the line, and something plain on the others."""
    addresses = {"src": "192.0.2.1", "dst": "192.0.2.2"}
    if name in ("src", "dst"):
        if family(number) == 6:
            addresses = {"src": "2001:db8::1", "dst": "2001:db8::2"}
        addresses[name] = address_text(number)
    return Datagram(
        addresses["src"],
        number if name == "sport" else 0,
        addresses["dst"],
        number if name == "dport" else 0,
        b"",
        transport,
        frame_bytes=number if name == "frame_len" else None,
    )
