"""Policies of many rules as operators have them: block lists of addresses, agents, numbers and prefixes, then calls.

Some of their rules are there twice, and some in the shadow of others: every fiftieth of each kind.
"""

from random import Random

from firewall.ruleset.policy import Policy
from tests.lint.policies import policy


def block_lists(count: int, seed: int = 1) -> tuple[Policy, set[str]]:
    """A policy of ``count`` blocking rules and the names of those that can never match."""
    random = Random(seed)
    written: list[str] = []
    silent: set[str] = set()
    kinds = (_address, _prefix, _agent, _caller, _number)
    for index in range(count):
        kind = kinds[index % len(kinds)]
        wide, narrow = kind(index)
        if index >= 50 and index % 50 < 5:
            earlier = index - 45
            wide, _ = kind(earlier)
            _, narrow = kind(earlier)
            when = narrow if random.random() < 0.5 else wide
            silent.add(f"r{index}")
        else:
            when = wide
        written.append(f"  - name: r{index}\n    when: {when} and not emergency\n    action: drop\n")
    return policy("".join(written)), silent


def _address(index: int) -> tuple[str, str]:
    address = f"11.{index >> 16 & 255}.{index >> 8 & 255}.{index & 255}"
    return f"net.src == {address}", f'net.src == {address} and sip.Method == "INVITE"'


def _prefix(index: int) -> tuple[str, str]:
    prefix = f"12.{index >> 8 & 255}.{index & 255}"
    return f"net.src == {prefix}.0/24", f"net.src in {{{prefix}.16/28, {prefix}.77}}"


def _agent(index: int) -> tuple[str, str]:
    return f'sip.User-Agent contains "scanner-{index}/"', f'sip.User-Agent == "my-scanner-{index}/1.0"'


def _caller(index: int) -> tuple[str, str]:
    return (
        f'sip.from.user == "{2_000_000 + index}"',
        f'sip.from.user == "{2_000_000 + index}" and net.src == 10.0.0.0/8',
    )


def _number(index: int) -> tuple[str, str]:
    return f'sip.r-uri.user matches "^1900{index:05}"', f'sip.r-uri.user == "1900{index:05}77"'
