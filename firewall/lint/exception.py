"""Exception policies: what happens to emergency traffic when the firewall itself has a problem."""

from dataclasses import replace

from firewall.engine.events import LogFailed
from firewall.errors import Place
from firewall.lint.codes import CODES
from firewall.lint.endpoint import Pair
from firewall.lint.finding import Finding
from firewall.lint.flow import selected
from firewall.lint.form import base_forms
from firewall.lint.instant import BASE_NS
from firewall.lint.probe import Blocked, Probe, Questioner
from firewall.ruleset.facts import Facts
from firewall.ruleset.policy import Policy


class _DefectError(Exception):
    """Stands for a defect of sosgate."""


def check(policy: Policy, questioner: Questioner, pair: Pair) -> list[Finding]:
    """Return a finding for each exception policy that blocks a message which the rules let pass."""
    exceptions = policy.exceptions
    findings = []
    if exceptions.internal_error == "drop" and policy.rules:
        blocked = _first_blocked(Questioner(_defective(policy), strict=False), pair)
        findings += _finding(policy, "internal_error", "when sosgate has a defect", blocked)
    if exceptions.log_unwritable == "drop":
        blocked = _first_blocked(questioner, pair, LogFailed("No space left on device"))
        findings += _finding(policy, "log_unwritable", "when the disk is full", blocked)
    if exceptions.table_full == "drop":
        # What the engine does with a full table it does with a full disk: it drops all that carries no mark.
        failing = replace(policy, exceptions=replace(exceptions, log_unwritable="drop"))
        blocked = _first_blocked(Questioner(failing), pair, LogFailed("stands for a full table"))
        findings += _finding(policy, "table_full", "when the table of calls is full", blocked)
    return findings


def _first_blocked(questioner: Questioner, pair: Pair, *first: LogFailed) -> Blocked | None:
    definition = questioner.policy.emergency
    for flow in selected(definition.flows):
        for form in base_forms(definition):
            blocked = questioner.ask(Probe(flow, form, pair, BASE_NS), *first)
            if blocked is not None and blocked.decision.decision.reason not in ("rule", "default"):
                return blocked
    return None


def _finding(policy: Policy, name: str, occasion: str, blocked: Blocked | None) -> list[Finding]:
    if blocked is None:
        return []
    start_line = blocked.witness().start_line
    return [
        Finding(
            "SOS105",
            f"`exceptions.{name}: drop` blocks the {blocked.step.label} of emergency traffic {occasion} "
            f"({blocked.probe.name})",
            Place(policy.file),
            CODES["SOS105"].mend.replace("the exception that is named", f"`exceptions.{name}`"),
            because=(f"dropped with reason {name}: {start_line}",),
            named=(name,),
        )
    ]


def _defective(policy: Policy) -> Policy:
    def fail(_facts: Facts) -> bool:
        raise _DefectError("a defect of sosgate, for lint")

    first, *rest = policy.rules
    return replace(policy, rules=(replace(first, matches=fail, methods=None), *rest))
