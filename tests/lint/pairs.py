"""Random pairs of policies, the second an edit of the first, and random calls between all kinds of ends."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import msgspec

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.finding import Sent
from firewall.lint.flow import FLOWS
from firewall.lint.form import base_forms
from firewall.lint.instant import BASE_NS, SECOND_NS
from firewall.lint.probe import Probe
from firewall.ruleset.policy import Policy
from tests.lint.forms import every_form
from tests.lint.policies import loaded

_HEAD = """policy: random
zones:
  carrier: {interfaces: [f0], networks: [192.0.2.0/24, "2001:db8:1::/64"]}
  psap: {interfaces: [f1], networks: [198.51.100.0/24]}
sets:
  agents: {values: [a, b, sosgate-probe]}
  same: {values: [b, a, sosgate-probe]}
emergency: {numbers: ["911"], from: [carrier], to: [psap]}
"""
_ATOMS = (
    "sip.User-Agent in $agents",
    "sip.User-Agent in $same",
    'sip.User-Agent == "a"',
    'sip.User-Agent contains "sos"',
    'sip.User-Agent matches "^sos"',
    "emergency",
    "not emergency",
    'emergency.class == "call"',
    'sip.Method == "INVITE"',
    'sip.Method in {"BYE", "ACK"}',
    'sip.Method == "REGISTER"',
    'sip.CSeq.method == "INVITE"',
    'zone.src == "carrier"',
    'zone.src == "psap"',
    'zone.src != "psap"',
    "net.src == 192.0.2.10",
    "net.src == 203.0.113.0/24",
    'sip.r-uri.user == "911"',
    "len(sip.r-uri) > 20",
    "sip.Status-Code >= 400",
    "sip.Status-Code in {180..189}",
    'dialog.state == "confirmed"',
    "frame.len > 900",
    "udp.srcport == 5060",
    "sip.to.tag",
    "malformed",
    'sip.header["X-Any"]',
    'sip.from.user contains "anon"',
    "count(sip.Via) > 1",
    "tcp",
)
_ENDS = ("192.0.2.10", "192.0.2.77", "198.51.100.10", "203.0.113.5", "8.8.8.8")


def policies(random: Random) -> tuple[Policy, Policy]:
    """A policy and an edit of it."""
    rules = [_rule(random, number) for number in range(random.randrange(1, 6))]
    default = random.choice(["allow", "drop"])
    edited = _edited(random, rules)
    return _policy(rules, default), _policy(edited, default)


def calls(random: Random, policy: Policy, count: int) -> Iterator[list[Sent]]:
    """Calls of every flow and form, with odd agents and headers, between any ends, at any time of a week."""
    for _ in range(count):
        one, other = (
            Endpoint(ip, random.choice([5060, 40_000]), random.choice(["f0", "f1", None]))
            for ip in random.sample(_ENDS, 2)
        )
        flow = random.choice(FLOWS)
        fitting = [form for form in every_form(policy.emergency) if form.flow == (flow.form_flow or "voice")]
        form = random.choice(fitting) if random.random() < 0.6 else base_forms(policy.emergency)[0]
        at_ns = BASE_NS + random.randrange(7 * 86_400) * SECOND_NS
        yield [_odd(random, each) for each in Probe(flow, form, Pair(one, other), at_ns).sent()]


def _odd(random: Random, sent: Sent) -> Sent:
    payload = sent.datagram.payload
    if random.random() < 0.4:
        payload = payload.replace(b"sosgate-probe", random.choice([b"a", b"b", b"xsos", b"SOSx"]))
    if random.random() < 0.3:
        payload = payload.replace(b"\r\nMax-Forwards", b"\r\nX-Any: 1\r\nMax-Forwards", 1)
    transport = random.choice(["UDP", "UDP", "TCP"])
    return replace(sent, datagram=msgspec.structs.replace(sent.datagram, payload=payload, transport=transport))


def _policy(rules: list[str], default: str) -> Policy:
    listed = "rules:\n" + "".join(rules) if rules else "rules: []\n"
    return loaded(f"{_HEAD}{listed}default: {default}\n")


def _rule(random: Random, number: int) -> str:
    action = random.choice(["allow", "drop", "reject"])
    written = f"  - name: r{number}\n    when: '{_condition(random, 2)}'\n    action: {action}\n"
    if random.random() < 0.12:
        written += f"    limit: {{rate: {random.choice(['3/1s', '5/1s'])}, per: net.src}}\n"
    if random.random() < 0.1:
        days, hours = random.choice([("sat", "22:00-06:00"), ("mon, tue", "08:00-12:00")])
        written += f'    schedule: {{days: [{days}], hours: "{hours}", timezone: America/New_York}}\n'
    return written


def _condition(random: Random, depth: int) -> str:
    kind = random.random()
    if depth == 0 or kind < 0.4:
        return random.choice(_ATOMS)
    if kind < 0.55:
        return f"not ({_condition(random, depth - 1)})"
    word = random.choice(["and", "or"])
    return f"({_condition(random, depth - 1)} {word} {_condition(random, depth - 1)})"


def _edited(random: Random, rules: list[str]) -> list[str]:
    edited, kind, index = list(rules), random.random(), random.randrange(len(rules))
    if kind < 0.25:
        edited[index] = _rule(random, index)
    elif kind < 0.4:
        del edited[index]
    elif kind < 0.6:
        other = random.randrange(len(rules))
        edited[index], edited[other] = edited[other], edited[index]
    elif kind < 0.75:
        edited[index] = edited[index].replace("$agents", "$same")
    elif kind < 0.85:
        edited.insert(index, _rule(random, 90))
    else:
        edited[index] = edited[index].replace(random.choice(_ATOMS), random.choice(_ATOMS), 1)
    return edited
