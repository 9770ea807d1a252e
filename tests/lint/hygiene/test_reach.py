"""What hygiene says of rules, against brute force: random policies over few fields, and every message there is."""

import random
from collections.abc import Sequence
from functools import reduce
from itertools import combinations, product
from operator import and_, or_

import pytest
from msgspec import structs

from firewall.errors import Place
from firewall.lint.hygiene.alternative import alternatives
from firewall.lint.hygiene.inspection import check
from firewall.net.datagram import Datagram
from firewall.ruleset.emergency import recogniser
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.expression import And, Condition, Not, Or
from firewall.ruleset.facts import DialogState, EmergencyMark, Facts
from firewall.ruleset.parse import parse_expression
from firewall.ruleset.policy import Policy, Rule
from firewall.ruleset.zones import zone_finder
from firewall.sip.message import Message, parse_message
from tests.lint.hygiene.blocklists import block_lists
from tests.lint.policies import policy, rule

ZONES = "zones: {carrier: {networks: [192.0.2.0/24]}, psap: {networks: [198.51.100.0/24]}}\n"
METHODS = ("INVITE", "REGISTER", "BYE", "OPTIONS")
AGENTS = ("", "scan", "SCAN", "my-scanner/1", "my-own", "x", "long", "scanner")
URIS = ("sip:911@h", "sip:911@h100", "sip:77@h", "sip:100@h", "urn:service:sos", "urn:any", "urn:100")
ADDRESSES = ("192.0.2.1", "192.0.2.77", "198.51.100.9", "203.0.113.5", "9.9.9.9")
STATES: tuple[DialogState, ...] = ("none", "early", "confirmed", "terminated")
ATOMS = (
    'sip.Method == "INVITE"', 'sip.Method in {"REGISTER", "BYE"}', 'sip.Method != "BYE"', "sip.User-Agent",
    'sip.User-Agent contains "scan"', 'sip.User-Agent == "my-scanner/1"', 'sip.User-Agent != "x"',
    'sip.User-Agent matches "^my"', 'lower(sip.User-Agent) == "scan"', 'sip.User-Agent in {"x", "scan"}',
    "net.src == 192.0.2.0/24", "net.src == 192.0.2.77", "net.src in {198.51.100.0/24, 203.0.113.0/24}",
    'zone.src == "carrier"', 'zone.src == "psap"', "emergency", "not emergency", "malformed", "sip",
    'sip.r-uri.user == "911"', 'sip.r-uri matches "^urn:service:sos$"', 'sip.r-uri contains "100"',
    'dialog.state == "none"', 'dialog.state in {"early", "confirmed"}', 'emergency.class == "call"',
    "sip.r-uri.user", "len(sip.User-Agent) > 1",
)  # fmt: skip
"""Conditions for which WORLD has a message of every kind: each way in which they can be true and false together."""


def parse(text: str) -> Condition:
    return parse_expression(text, sets={}, place=Place("test"))


def request(method: str, uri: str, agents: tuple[str, ...]) -> Message:
    lines = "".join(f"User-Agent: {agent}\r\n" for agent in agents)
    return parse_message(f"{method} {uri} SIP/2.0\r\nFrom: <sip:a@h>\r\nTo: <sip:b@h>\r\n{lines}\r\n".encode())


def agent_lists() -> list[tuple[str, ...]]:
    """Lists of User-Agents, one for each way in which they differ to the conditions."""
    reading = [compile_condition(parse(atom)) for atom in ATOMS if "User-Agent" in atom]
    reading += [compile_condition(parse(f'sip.User-Agent == "{agent}"')) for agent in ("x", "scan")]
    kinds: dict[tuple[bool, ...], tuple[str, ...]] = {}
    for size in range(4):
        for agents in combinations(AGENTS, size):
            facts = Facts(PLAIN, request("INVITE", "sip:a@h", agents))
            kinds.setdefault(tuple(reads(facts) for reads in reading), agents)
    return list(kinds.values())


PLAIN = Datagram("192.0.2.1", 5060, "198.51.100.1", 5060, b"x")
MARKS = (None, EmergencyMark("call", "urn:service:sos", ()), EmergencyMark("text", "urn:service:sos", ()))


def world() -> list[Facts]:
    """Every message over these values, marked as an emergency at least where it is one by itself."""
    tested = policy(zones=ZONES)
    find, recognise = zone_finder(tested.zones), recogniser(tested.emergency)
    agents = agent_lists()
    messages: list[Message | None] = [request(*each) for each in product(METHODS, URIS, agents)]
    messages += [
        parse_message(b"SIP/2.0 200 OK\r\n%b\r\n" % b"".join(b"User-Agent: %b\r\n" % agent.encode() for agent in each))
        for each in agents
    ]
    found = []
    for ip, state, mark, message in product(ADDRESSES, STATES, MARKS, [*messages, None]):
        zones = find((ip, None)), find((PLAIN.dst_ip, None))
        datagram = structs.replace(PLAIN, src_ip=ip)
        if message is None:
            found += [Facts(datagram, None, malformed, *zones, mark, state) for malformed in (None, "not_sip")]
        elif mark is not None or recognise(message) is None:
            found.append(Facts(datagram, message, None, *zones, mark, state))
    return found


class BruteForce:
    """The messages of the world that meet a condition, as the bits of a number."""

    def __init__(self) -> None:
        self._world = world()
        self.all = (1 << len(self._world)) - 1
        self._atoms: dict[Condition, int] = {}

    def meeting(self, condition: Condition | None) -> int:
        match condition:
            case None:
                return self.all
            case Not(inner):
                return self.all & ~self.meeting(inner)
            case And(conditions):
                return reduce(and_, map(self.meeting, conditions))
            case Or(conditions):
                return reduce(or_, map(self.meeting, conditions))
            case _:
                if condition not in self._atoms:
                    holds = compile_condition(condition)
                    bits = "".join("01"[holds(facts)] for facts in reversed(self._world))
                    self._atoms[condition] = int(bits, 2)
                return self._atoms[condition]

    def taken(self, rules: Sequence[Rule]) -> int:
        """The messages that one of the rules matches."""
        return reduce(or_, (self.meeting(each.when) for each in rules), 0)

    def findings(self, tested: Policy) -> set[tuple[str, str | None]]:
        """What trying every message gives."""
        found: set[tuple[str, str | None]] = set()
        rules = list(tested.rules)
        deciding = []
        for index, each in enumerate(rules):
            matched, earlier = self.meeting(each.when), rules[:index]
            if matched == self.all:
                found.add(("SOS220", each.name))
            if not matched & ~self.taken(earlier):
                found.add(("SOS201" if matched else "SOS203", each.name))
                continue
            deciding.append(each)
            opposite = [other for other in earlier if (other.action == "allow") != (each.action == "allow")]
            for _, condition in alternatives(each.when):
                part = matched & self.meeting(condition)
                if part and not part & ~self.taken(opposite):
                    found.add(("SOS221", each.name))
        for each in deciding:
            left = self.meeting(each.when) & ~self.taken(
                [other for other in rules if other.place.line < each.place.line]
            )
            is_floor = each.action == "allow" and "emergency" in each.when_text
            silent = [other for other in rules if other not in deciding]
            later = [
                other for other in rules[rules.index(each) + 1 :] if other not in silent or other.action != each.action
            ]
            if not is_floor and self.is_done_alike(left, each, later):
                found.add(("SOS202", each.name))
        return found

    def is_done_alike(self, left: int, rule: Rule, later: Sequence[Rule]) -> bool:
        for other in later:
            taken = left & self.meeting(other.when)
            if taken and other.action != rule.action:
                return False
            left &= ~taken
        return not left


@pytest.fixture(scope="module")
def brute_force() -> BruteForce:
    return BruteForce()


def random_condition(chooser: random.Random, depth: int = 2) -> str:
    if depth == 0 or chooser.random() < 0.35:
        return chooser.choice(ATOMS)
    joined = chooser.choice((" and ", " and ", " or "))
    parts = [random_condition(chooser, depth - 1) for _ in range(chooser.choice((2, 2, 3)))]
    whole = f"({joined.join(parts)})"
    return f"not {whole}" if chooser.random() < 0.15 else whole


def random_policy(seed: int) -> Policy:
    chooser = random.Random(seed)
    rules = "".join(
        rule(random_condition(chooser), chooser.choice(("allow", "drop", "reject")), f"r{index}")
        for index in range(chooser.randint(2, 6))
    )
    return policy(rules, zones=ZONES, after="")


CHECKED = ("SOS201", "SOS202", "SOS203", "SOS220", "SOS221")


def said(tested: Policy) -> set[tuple[str, str | None]]:
    return {(each.code, each.rule) for each in check(tested) if each.code in CHECKED}


@pytest.mark.parametrize("start", range(0, 300, 75))
def test_every_report_is_true_and_every_case_is_found(start: int, brute_force: BruteForce) -> None:
    for seed in range(start, start + 75):
        tested = random_policy(seed)
        assert said(tested) == brute_force.findings(tested), f"seed {seed}"


def test_in_a_long_block_list_exactly_the_rules_in_the_shadow_of_others_are_found() -> None:
    """Of more rules than are asked about as a whole."""
    tested, silent = block_lists(700)
    assert {(each.code, each.rule) for each in check(tested)} == {("SOS201", name) for name in silent}


def test_a_member_of_a_short_set_that_earlier_rules_take_is_named() -> None:
    extra = "sets:\n  ours: {networks: [203.0.113.7, 198.18.0.1]}\n"
    rules = rule("net.src == 203.0.113.0/24", name="them") + rule("net.src in $ours and sip", "allow", name="us")
    (found,) = [each for each in check(policy(rules, extra=extra)) if each.code == "SOS221"]
    assert found.message == 'rule "us" never decides on `203.0.113.7`: rule "them" takes all of that'


def test_a_condition_that_forgets_what_no_zone_has_is_shown_how_to_name_it() -> None:
    rules = rule('zone.src != "carrier" and zone.src != "psap"')
    (found,) = [each for each in check(policy(rules)) if each.code == "SOS203"]
    assert 'no zone.src: write `not zone.src == "carrier"`' in found.help


@pytest.mark.parametrize(
    "when",
    [
        "frame.len < 0",
        "udp.srcport > 65535",
        "count(sip.Via) < 1",
        "udp.port > 65535",
        'dialog.state matches "x"',
        'emergency.class contains "calls"',
    ],
)
def test_a_value_that_cannot_be_is_never_true(when: str) -> None:
    (found,) = [each for each in check(policy(rule(when))) if each.code == "SOS203"]
    assert found.rule == "guilty"
