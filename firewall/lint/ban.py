"""Bans are about addresses: which of them shut out everybody behind an address that emergency calls come from?"""

from collections.abc import Iterator
from dataclasses import replace

from firewall.lint.emergency import Corpus
from firewall.lint.endpoint import Pair
from firewall.lint.finding import Extent, Finding, Sent
from firewall.lint.flow import VOICE, ordinary_request
from firewall.lint.form import PLAIN, Form, Style
from firewall.lint.instant import SECOND_NS
from firewall.lint.literal import forms_of
from firewall.lint.probe import MILLISECOND_NS, Blocked, Probe, Questioner, decide, sent_of
from firewall.lint.script import Script, Step
from firewall.lint.verdict import finding_of
from firewall.ruleset.policy import Policy, Rule

_METHODS = ("OPTIONS", "REGISTER", "INVITE", "SUBSCRIBE", "MESSAGE", "PUBLISH", "NOTIFY", "REFER", "INFO")
_TARGETS = ("sip:+16175551212@psap.example", "sip:1000@psap.example", "sip:00882135551212@psap.example")
_SCANNERS = (
    "friendly-scanner", "sipvicious", "sipcli/v1.8", "sundayddr", "VaxSIPUserAgent/3.1", "pplsip", "sipsak 0.9.7",
)  # fmt: skip
_UNREADABLE = b"\x00\x01\x02 no SIP at all\r\n\r\n"
_MAX_REPEATS = 2000


def check(policy: Policy, questioner: Questioner, asked: Corpus) -> tuple[list[Finding], Extent]:
    """Return a finding for each rule whose ban reaches an address of ``emergency.from``, and how much was asked."""
    findings: list[Finding] = []
    extent = Extent()
    for rule in policy.rules:
        if rule.ban_ns is None or rule.shadow:
            continue
        blocked = _shut_out(rule, questioner, asked)
        extent += Extent(probes=1, blocked=blocked is not None)
        if blocked is not None:
            finding = finding_of(policy, "SOS109", (blocked,), 1)
            trigger = f"an ordinary {blocked.sent[0].label} from {blocked.probe.pair.caller.ip} triggers the ban"
            findings.append(replace(finding, because=(trigger, *finding.because[:-1])))
    return findings, extent


def _shut_out(rule: Rule, questioner: Questioner, asked: Corpus) -> Blocked | None:
    for pair in asked.pairs:
        reader = questioner.engine()
        for step in _ordinary(asked, pair):
            probe = Probe(VOICE, asked.base[0], pair, asked.instants[0], "banned")
            datagram = sent_of(step, probe).datagram
            if rule.matches(reader.facts(datagram, probe.at_ns)):
                blocked = _after_ban(rule, questioner, probe, step, asked.instants)
                if blocked is not None:
                    return blocked
    return None


def _after_ban(
    rule: Rule, questioner: Questioner, probe: Probe, trigger: Step, instants: tuple[int, ...]
) -> Blocked | None:
    """Send the trigger until the rule bans, then place an emergency call from the same address."""
    repeats = min(rule.limit.burst + 1, _MAX_REPEATS) if rule.limit is not None else 1
    for at_ns in instants:
        timed = replace(probe, at_ns=at_ns)
        engine = questioner.engine()
        sent: list[Sent] = []
        for number in range(repeats):
            each = sent_of(replace(trigger, at_ms=number), timed)
            sent.append(each)
            decision = decide(engine, each)
        if decision.decision.rule != rule.name:
            continue
        call = replace(timed, at_ns=at_ns + SECOND_NS + repeats * MILLISECOND_NS)
        for step in call.steps():
            each = sent_of(step, call)
            sent.append(each)
            decision = decide(engine, each)
            if decision.decision.reason == "banned":
                return Blocked(call, step, decision, tuple(sent))
    return None


def _ordinary(asked: Corpus, pair: Pair) -> Iterator[Step]:
    makers = [PLAIN, *(Style(agent, user_agent=agent) for agent in _SCANNERS)]
    makers += [form.style for form in forms_of(asked.literals, asked.base[0])]
    for number, style in enumerate(makers):
        form = Form(style.name, "", "", style=style)
        for method in _METHODS:
            for target in _TARGETS if method == "INVITE" else _TARGETS[:1]:
                script = Script(pair, f"ordinary{number}")
                ordinary_request(script, "caller", method, target, form)
                yield script.steps[0]
    yield Step(0, "caller", "datagram that is no SIP message", "initial", _UNREADABLE)
