"""Policies of any size for the benchmarks: block lists of addresses, agents and numbers, as operators keep them."""

from random import Random

_HEAD = """policy: of-{rules}-rules
zones:
  carrier: {{interfaces: [f0], networks: [192.0.2.0/24, "2001:db8:1::/64"]}}
  psap: {{interfaces: [f1], networks: [198.51.100.0/24, "2001:db8:2::/64"]}}
emergency: {{numbers: ["911", "112"], from: [carrier], to: [psap], surge: {{calls_per_second: 40, per_source: 25}}}}
rules:
"""
_TAIL = """  - {name: calls, when: zone.src == "carrier", action: allow}
  - {name: from-psaps, when: zone.src == "psap", action: allow}
default: drop
"""


def policy_text(rules: int, seed: int = 1) -> str:
    """Return a policy of so many rules (two of them allow the calls), of eight kinds, all harmless."""
    random = Random(seed)
    text = [_HEAD.format(rules=rules)]
    for number in range(rules - 2):
        when = _condition(random, number)
        text.append(f"  - {{name: r{number}, when: '{when}', action: {'drop' if number % 3 else 'reject'}}}\n")
    return "".join(text) + _TAIL


def _condition(random: Random, number: int) -> str:
    match number % 8:
        case 0:
            return f"net.src == 203.0.{random.randrange(256)}.{random.randrange(256)} and not emergency"
        case 1:
            return f"net.src == 2001:db8:{random.randrange(4096, 65536):x}::/48"
        case 2:
            return f'sip.User-Agent == "scanner-{number}" and not emergency'
        case 3:
            return f'sip.from.user == "{random.randrange(10**9, 10**10)}" and not emergency'
        case 4:
            return f'sip.Method == "INVITE" and sip.r-uri.user matches "^00{random.randrange(10**5)}" and not emergency'
        case 5:
            return f'sip.User-Agent contains "bot/{number}" and not emergency'
        case 6:
            return f'sip.Method == "REGISTER" and net.src == 198.18.{random.randrange(256)}.{random.randrange(256)}'
        case _:
            return f'zone.src == "carrier" and sip.to.host == "host{number}.example" and not emergency'
