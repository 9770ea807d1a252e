"""The prover on whole policies: what DESIGN section 5 promises, and every single edit of the start policy."""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from firewall.cli.policy_file import FileSources, read_policy
from firewall.errors import PolicyError
from firewall.lint.check import lint_policy
from firewall.lint.finding import Report
from firewall.lint.flow import selected
from firewall.lint.instant import BASE_NS
from firewall.lint.probe import Probe, Questioner
from firewall.lint.proof.prove import calling_pairs
from firewall.ruleset.load import load_policy
from firewall.ruleset.policy import Policy
from tests.lint.forms import every_form

START = Path(__file__).parents[3] / "rules" / "start.yaml"
TEXT = START.read_text()


def edits() -> dict[str, str]:
    """Every single edit of a kind that hands make: a word gone or changed, a rule gone, moved, or turned round."""
    found: dict[str, str] = {}
    body = TEXT.index("\nrules:")
    rules = re.split(r"(?m)^(?=  - name: )", TEXT[body:])
    for number in range(1, len(rules)):
        without = [*rules[:number], *rules[number + 1 :]]
        tail = "\ndefault: drop\n" if number == len(rules) - 1 else ""
        found[f"without rule {number}"] = TEXT[:body] + "".join(without) + tail
        if 1 < number < len(rules) - 1:
            moved = [*rules[: number - 1], rules[number], rules[number - 1], *rules[number + 1 :]]
            found[f"rule {number} before {number - 1}"] = TEXT[:body] + "".join(moved)
    words = {
        " and not emergency": ["", " and emergency", " or not emergency", " or emergency"],
        "action: drop": ["action: allow", "action: reject"],
        "action: reject": ["action: allow", "action: drop"],
        "action: allow": ["action: drop", "action: reject"],
        "mode: shadow": [""],
        "default: drop": ["default: allow"],
        "not emergency": ["emergency"],
        "$scanners or": ["$scanners and"],
        "net.src in $blocked": ["net.dst in $blocked", "not net.src in $blocked"],
        'zone.src == "carrier"': ['zone.src == "psap"', 'zone.dst == "carrier"', 'zone.src != "carrier"'],
        'zone.src == "psap"': ['zone.src == "carrier"', 'zone.dst == "psap"', 'zone.src != "psap"'],
        "203.0.113.0/24": ["192.0.2.0/25", "198.51.100.0/24", "0.0.0.0/0"],
        "30/2s": ["1/2s", "3000/2s"],
        "burst: 30": ["burst: 1", "burst: 3000"],
        "status: 503": ["status: 404"],
        "sip.Method in": ["not sip.Method in", "sip.CSeq.method in"],
        "sip.Method ==": ["sip.Method !="],
        "exceptions: {malformed: drop": ["exceptions: {malformed: allow"],
        "table_full: allow": ["table_full: drop"],
        "internal_error: allow": ["internal_error: drop"],
        "log_unwritable: allow": ["log_unwritable: drop"],
        '"911", "112"': ['"911"', '"112"'],
        "guard: enforce": ["guard: off"],
        **{f'"{method}", ': [""] for method in ("INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "OPTIONS")},
        ', "MESSAGE"': ["", ', "PUBLISH"'],
    }
    for old, several in words.items():
        for place in [match.start() for match in re.finditer(re.escape(old), TEXT)]:
            for new in several:
                found[f"{old!r} at {place} becomes {new!r}"] = TEXT[:place] + new + TEXT[place + len(old) :]
    return found


def blocked_probe(policy: Policy, share: int) -> str | None:
    """The first probe of a twelfth of the forms and flows that the engine blocks: an oracle that knows nothing of the
    prover. Which twelfth is said by ``share``: all have their turn, and one edit takes a twelfth of it."""
    # Which media the calls then agree on decides about none of their messages.
    questioner = Questioner(replace(policy, media=replace(policy.media, mode="off")))
    every = every_form(policy.emergency)
    probes = []
    for pair in calling_pairs(policy):
        for flow in selected(policy.emergency.flows):
            fitting = [form for form in every if flow.form_flow in (None, form.flow) and not form.is_test]
            probes += [
                Probe(flow, form, pair, BASE_NS) for form in (fitting[:1] if flow.form_flow is None else fitting)
            ]
    return next((probe.name for probe in probes[share % 12 :: 12] if questioner.ask(probe) is not None), None)


@cache
def linted_edit(edit: str) -> tuple[Policy, Report] | None:
    """None for one that cannot be loaded: it blocks nothing, the old policy stays in force."""
    try:
        policy = load_policy(edits()[edit].encode(), file=str(START), sources=FileSources(str(START)))
    except PolicyError:
        return None
    return policy, lint_policy(policy)


@pytest.mark.parametrize("edit", edits())
def test_every_single_edit_of_the_start_policy_that_blocks_a_probe_is_found(edit: str) -> None:
    linted = linted_edit(edit)
    if linted is None:
        return
    policy, report = linted
    assert report.result == "refuted" or blocked_probe(policy, list(edits()).index(edit)) is None
    guilty = {each.rule for each in report.findings if each.is_error}
    assert guilty <= {rule.name for rule in policy.rules} | {None}


def test_some_of_the_edits_block_and_some_do_not() -> None:
    results = [linted[1].result for edit in edits() if (linted := linted_edit(edit)) is not None]
    assert len(results) > 60
    assert 20 < results.count("refuted") < len(results) - 20
    assert "undecided" not in results


def test_the_start_policy_is_proved_in_every_zone_pair_at_every_hour() -> None:
    report = lint_policy(read_policy(str(START)))
    assert report.result == "proved"
    assert (report.extent.pairs, report.extent.flows, report.extent.times) == (1, 24, 2)
    assert report.extent.messages > 300
