"""Random policies and random emergency messages: what the prover and the engine are held against each other with."""

from dataclasses import dataclass, replace
from functools import cache
from random import Random

import msgspec

from firewall.engine.engine import Engine
from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.flow import selected
from firewall.lint.form import base_forms
from firewall.lint.instant import BASE_NS
from firewall.lint.probe import Probe, decide, sent_of
from firewall.net.datagram import Datagram
from firewall.ruleset.facts import Facts
from firewall.ruleset.policy import Policy
from tests.lint.forms import every_form
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
    "sip.Request-Line",
    "sip.CSeq",
    "sip.Resource-Priority",
    "sip.Priority",
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
    "esnet.3",
    "PRACK",
)
REGEXES = (
    "^urn:",
    "^tel:",
    "nena",
    "^(INVITE|BYE) ",
    "911",
    "^[0-9]*$",
    "fire$",
    "^$",
    "scan|probe",
    r"^sip:9",
    r"\\.invalid$",
    "(a|b)c?",
    ".*",
)
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
            'sip.r-uri.user in {"911", "9911", "+1911"}',
            'sip.r-uri matches "^urn:service:sos"',
            f'sip.CSeq.method == "{random.choice(METHODS)}"',
        )
    )


def _number(random: Random) -> str:
    return random.choice(
        (
            f"frame.len > {random.choice((500, 1500, 20_000, 70_000))}",
            f"frame.len < {random.choice((60, 300, 700))}",
            f"sip.Content-Length > {random.choice((0, 200, 1024, 70_000))}",
            f"sip.Max-Forwards < {random.choice((1, 10, 70))}",
            f"sip.Status-Code == {random.choice((100, 180, 183, 200, 404, 503))}",
            f"sip.Status-Code >= {random.choice((200, 300, 400))}",
            f"sip.Status-Code in {{{random.choice(('101..199', '200..299', '200..699', '300..699'))}}}",
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


MOST_RULES = 5
"""A policy of more rules is a list of what may pass."""
_LISTED = (
    'sip.r-uri.user in {"911", "9911", "+1911"}',
    'sip.r-uri matches "^urn:service:sos"',
    'sip.r-uri matches "^sips?:.*(9.*1.*1|%)"',
    'sip.r-uri matches "^tel:"',
    'not sip.r-uri contains ":"',
    'sip.r-uri matches "^urn:(nena|emergency):"',
    'sip.r-uri matches "^urn:service(s:|:911)"',
    'sip.to.addr matches "9.*1.*1|%|sos|nena|emergency"',
    "sip.Resource-Priority",
    "sip.Priority",
    "sip.Route or sip.Call-Info",
    'emergency.class in {"text", "callback", "test"}',
    'dialog.state != "none"',
    "sip.Status-Code in {100..699}",
    'sip.Method in {"ACK", "BYE", "CANCEL", "PRACK"}',
)
"""What together takes every emergency message: a list that leaves out one of them may still be complete, or not."""


def _complete_list(random: Random) -> list[str]:
    """Conditions of a list of all that may pass, without some of them or with one of them narrower."""
    kept = [each for each in _LISTED if random.random() < 0.9]
    if random.random() < 0.4:
        number = random.randrange(len(kept))
        kept[number] = f"({kept[number]}) and not ({random_condition(random, 0)})"
    return kept


def random_policy(random: Random) -> Policy:
    """Return a policy of one to four rules, mostly above rules that let everything pass, or a list of what may pass."""
    if random.random() < 0.12:
        conditions = [*_complete_list(random), 'sip.CSeq.method == "OPTIONS"']
        rules = [f"  - {{name: r{n}, when: '{when}', action: allow}}\n" for n, when in enumerate(conditions)]
    else:
        rules = _few_rules(random)
    return loaded(f"policy: random\n{ZONES}{EMERGENCY}rules:\n{''.join(rules)}default: drop\n")


def _few_rules(random: Random) -> list[str]:
    rules = []
    for number in range(random.randint(1, MOST_RULES - 1)):
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
    return rules


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
    base, begun = base_forms(tested.emergency), set[str | None]()
    for pair in _PAIRS:
        every = every_form(tested.emergency)
        for flow in selected(tested.emergency.flows):
            if flow.policy_flow == "keepalive":
                continue
            fitting = [form for form in every if flow.form_flow in (None, form.flow)]
            plain = fitting[:1] if flow.form_flow is None else [form for form in base if form in fitting] or fitting[:1]
            for form in plain:
                found += _messages(tested, Probe(flow, form, pair, BASE_NS))
            for form in fitting if flow.form_flow is not None and flow.form_flow not in begun else ():
                for written in (form, replace(form, to="<sip:operator@{host}>")):
                    found += _messages(tested, Probe(flow, written, pair, BASE_NS), 1)
            begun.add(flow.form_flow)
        begun.clear()
    return tuple(found)


_PAIRS = (
    Pair(Endpoint("192.0.2.10", 5060, "f0", "carrier"), Endpoint("198.51.100.20", 5060, "f1", "psap")),
    Pair(Endpoint("192.0.2.77", 40_000, "f0", "carrier"), Endpoint("198.51.100.254", 5060, "f1", "psap")),
    Pair(Endpoint("2001:db8:1::77", 5060, "f0", "carrier"), Endpoint("2001:db8:2::1", 5060, "f1", "psap")),
)


def _messages(tested: Policy, probe: Probe, most: int | None = None) -> list[Message]:
    engine = Engine(tested)
    found = []
    for step in probe.steps()[:most]:
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
