"""Random policies and random emergency messages: what the prover and the engine are held against each other with."""

from dataclasses import dataclass
from functools import cache
from random import Random

import msgspec

from firewall.engine.engine import Engine
from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.flow import selected
from firewall.lint.form import base_forms, forms
from firewall.lint.instant import BASE_NS
from firewall.lint.probe import Probe, decide, sent_of
from firewall.net.datagram import Datagram
from firewall.ruleset.facts import Facts
from firewall.ruleset.policy import Policy
from tests.lint.policies import EMERGENCY, ZONES, loaded, policy

TEXT_FIELDS = (
    "sip.r-uri",
    "sip.r-uri.user",
    "sip.r-uri.host",
    "sip.to.addr",
    "sip.from.user",
    "sip.from.host",
    "sip.contact.host",
    "sip.User-Agent",
    "sip.Subject",
    "sip.Via",
    "sip.Via.sent-by.address",
    "sip.Route",
    "sip.Supported",
    "sip.Call-ID",
    'sip.header["X-Trunk"]',
)
TEXTS = (
    "911",
    "112",
    "sos",
    "urn:service:sos",
    "psap",
    "a",
    "anonymous",
    "anonymous.invalid",
    "UDP",
    "100rel",
    "x-1",
    "sip:",
)
REGEXES = ("^urn:", "911", "^[0-9]*$", "fire$", "^$", "scan|probe", r"^sip:9", r"\\.invalid$", "(a|b)c?", ".*")
METHODS = ("INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO", "OPTIONS", "MESSAGE", "REGISTER")
CLASSES = ("call", "callback", "test", "text", "registration")
NETWORKS = (
    "192.0.2.0/24",
    "192.0.2.0/25",
    "192.0.2.77",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "2001:db8:1::/64",
    "2001:db8::/32",
)


def random_condition(random: Random, depth: int = 2) -> str:
    """Return a condition of the rule language, of the atoms that operators write."""
    choice = random.random()
    if depth and choice < 0.35:
        word = random.choice((" and ", " or "))
        return word.join(f"({random_condition(random, depth - 1)})" for _ in range(random.randint(2, 3)))
    if depth and choice < 0.5:
        return f"not ({random_condition(random, depth - 1)})"
    return random.choice(_ATOMS)(random)


def _text(random: Random) -> str:
    field = random.choice(TEXT_FIELDS)
    match random.randrange(8):
        case 0:
            return f'{field} == "{random.choice(TEXTS)}"'
        case 1:
            return f'{field} != "{random.choice(TEXTS)}"'
        case 2:
            return f'{field} contains "{random.choice(TEXTS)}"'
        case 3:
            return f'{field} matches "{random.choice(REGEXES)}"'
        case 4:
            return f'{field} in {{"{random.choice(TEXTS)}", "{random.choice(TEXTS)}"}}'
        case 5:
            return f"len({field}) {random.choice(('>', '<', '=='))} {random.choice((1, 3, 8, 20, 60, 200))}"
        case 6:
            return f'lower({field}) == "{random.choice(TEXTS)}"'
        case _:
            return field


def _method(random: Random) -> str:
    methods = ", ".join(f'"{each}"' for each in random.sample(METHODS, random.randint(1, 4)))
    return f"sip.Method in {{{methods}}}"


def _own(random: Random) -> str:
    return random.choice(
        (
            "emergency",
            f'emergency.class == "{random.choice(CLASSES)}"',
            'emergency.service contains "sos"',
            'emergency.service matches "fire$"',
            f'zone.src == "{random.choice(("carrier", "psap"))}"',
            f'zone.dst == "{random.choice(("carrier", "psap"))}"',
            f'dialog.state == "{random.choice(("none", "early", "confirmed"))}"',
            "malformed",
            "sip.Method",
            f'sip.CSeq.method == "{random.choice(METHODS)}"',
        )
    )


def _number(random: Random) -> str:
    return random.choice(
        (
            f"frame.len > {random.choice((500, 1500, 20_000, 70_000))}",
            f"sip.Content-Length > {random.choice((0, 200, 1024, 70_000))}",
            f"sip.Max-Forwards < {random.choice((1, 10, 70))}",
            f"sip.Status-Code == {random.choice((100, 180, 183, 200, 404, 503))}",
            f"sip.Status-Code >= {random.choice((200, 300, 400))}",
            f"udp.srcport == {random.choice((5060, 5061, 40_000))}",
            f"udp.dstport != {random.choice((5060, 5061))}",
            f"count(sip.Via) > {random.choice((1, 5, 90))}",
            "tcp",
        )
    )


def _address(random: Random) -> str:
    field = random.choice(("net.src", "net.dst"))
    return f"{field} in {{{random.choice(NETWORKS)}}}"


_ATOMS = (_text, _text, _method, _own, _number, _address)


def random_policy(random: Random) -> Policy:
    """Return a policy of one to four rules, mostly above rules that let everything pass."""
    rules = []
    for number in range(random.randint(1, 4)):
        action = random.choice(("drop", "reject", "drop", "allow"))
        when = random_condition(random)
        if random.random() < 0.3:
            when = f"({when}) and not emergency"
        more = "    mode: shadow\n" if random.random() < 0.05 else ""
        if random.random() < 0.1:
            more += '    schedule: {days: [sun], hours: "03:00-03:01", timezone: Europe/Berlin}\n'
        rules.append(f"  - name: r{number}\n    when: '{when}'\n    action: {action}\n{more}")
    if random.random() < 0.85:
        rules.append("  - {name: rest, when: zone.src, action: allow}\n")
    return loaded(f"policy: random\n{ZONES}{EMERGENCY}rules:\n{''.join(rules)}default: drop\n")


@dataclass(frozen=True)
class Message:
    """An emergency message as the rules see it, when all before it passed."""

    facts: Facts
    follows: bool


@cache
def emergency_messages() -> tuple[Message, ...]:
    """Messages of every flow and form between several addresses, each as the engine sees it under open rules."""
    tested = policy(zones=ZONES, default="allow", after="")
    found: list[Message] = []
    for pair in _PAIRS:
        every = forms(tested.emergency)
        for flow in selected(tested.emergency.flows):
            if flow.policy_flow == "keepalive":
                continue
            fitting = [form for form in every if flow.form_flow in (None, form.flow)]
            for form in fitting[:1] if flow.form_flow is None else (*base_forms(tested.emergency), *fitting[:60]):
                if form in fitting:
                    found += _messages(tested, Probe(flow, form, pair, BASE_NS))
    return tuple(found)


_PAIRS = (
    Pair(Endpoint("192.0.2.10", 5060, "f0", "carrier"), Endpoint("198.51.100.20", 5060, "f1", "psap")),
    Pair(Endpoint("192.0.2.77", 40_000, "f0", "carrier"), Endpoint("198.51.100.254", 5060, "f1", "psap")),
    Pair(Endpoint("2001:db8:1::77", 5060, "f0", "carrier"), Endpoint("2001:db8:2::1", 5060, "f1", "psap")),
)


def _messages(tested: Policy, probe: Probe) -> list[Message]:
    engine = Engine(tested)
    found = []
    for step in probe.steps():
        sent = sent_of(step, probe)
        facts = engine.facts(sent.datagram, sent.at_ns)
        decision = decide(engine, sent)
        if facts.emergency is not None and facts.emergency.emergency_class != "test":
            found.append(Message(facts, decision.decision.reason != "default"))
    return found


def varied(message: Message, random: Random) -> Message:
    """Return the message over another transport, or longer."""
    datagram = message.facts.datagram
    changed: Datagram = msgspec.structs.replace(
        datagram,
        transport=random.choice(("UDP", "TCP")),
        frame_bytes=random.choice((None, datagram.frame_len + 1500, 30_000)),
    )
    return Message(msgspec.structs.replace(message.facts, datagram=changed), message.follows)
