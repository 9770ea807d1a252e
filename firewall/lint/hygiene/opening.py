"""What rules open to senders that no zone names."""

from collections.abc import Iterator

from firewall.lint.endpoint import ELSEWHERE
from firewall.lint.finding import Finding
from firewall.lint.hygiene.reach import Reach, counts_always
from firewall.lint.hygiene.sample import OUTSIDE
from firewall.ruleset.expression import And, Condition, Or
from firewall.ruleset.facts import Facts
from firewall.ruleset.policy import Policy, Rule
from firewall.sip.message import Request

_MAX_JOINED = 20
_STRANGERS = (*OUTSIDE.values(), "187.77.88.99")
"""Addresses that policies seldom name, one in each half of IPv4."""


def check(policy: Policy, reach: Reach) -> Iterator[Finding]:
    """Yield the rules through which a message passes that is no emergency and comes from outside every zone.

    Each is shown by such a message, put to the rules: what is open to named addresses outside only is not reported.
    """
    if not policy.zones:
        return
    for number, rule in enumerate(policy.rules):
        if rule.action != "allow" or rule.shadow or number in reach.silent:
            continue
        passed = next(_passing(number, rule, reach), None)
        if passed is not None:
            of_sip = "request" if isinstance(passed.message, Request) else "response"
            what = of_sip if passed.message is not None else "datagram"
            message = (
                f'rule "{rule.name}" lets messages pass that are no emergency and come from outside every zone, '
                f"for example a {what} from {passed.datagram.src_ip}"
            )
            yield Finding.about("SOS225", message, rule)


def _passing(number: int, rule: Rule, reach: Reach) -> Iterator[Facts]:
    for condition in (rule.when, *_joined(rule.when)[:_MAX_JOINED]):
        for made in reach.sampler.made_for(condition):
            for src_ip in _STRANGERS:
                moved = reach.sampler.moved(made, src_ip, ELSEWHERE)
                if moved.zone_src is not None or moved.emergency is not None or not rule.matches(moved):
                    continue
                earlier = reach.takers.of(moved, 0, number)
                if not any(counts_always(each, rule) for each in map(reach.rule, earlier)):
                    yield moved


def _joined(when: Condition | None) -> list[Condition]:
    """Return a condition with one each of the parts that ``or`` joins: one may be about addresses, and the next not."""
    match when:
        case Or(conditions):
            return list(conditions)
        case And(conditions):
            return [
                And((*conditions[:index], only, *conditions[index + 1 :]))
                for index, each in enumerate(conditions)
                for only in _joined(each)
            ]
        case _:
            return []
