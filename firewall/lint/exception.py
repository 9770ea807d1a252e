"""Exception policies: what happens to emergency traffic when the firewall itself has a problem."""

from collections.abc import Iterator
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


def check(policy: Policy, questioner: Questioner, pair: Pair) -> Iterator[Finding]:
    """Yield a finding for each exception policy that blocks a message which the rules let pass."""
    # What the engine does with a full table it does with a full disk: it drops all that carries no mark.
    full = replace(policy, exceptions=replace(policy.exceptions, log_unwritable="drop"))
    failed = LogFailed("No space left on device")
    provoked: tuple[tuple[str, Questioner, tuple[LogFailed, ...], str], ...] = (
        ("internal_error", Questioner(_defective(policy), strict=False), (), "when sosgate has a defect"),
        ("log_unwritable", questioner, (failed,), "when the disk is full"),
        ("table_full", Questioner(full), (failed,), "when the table of calls is full"),
    )
    for name, asked, first, occasion in provoked:
        blocked = _first_blocked(asked, pair, *first) if getattr(policy.exceptions, name) == "drop" else None
        if blocked is not None:
            met = f"the {blocked.step.label} of emergency traffic {occasion} ({blocked.probe.name})"
            mend = CODES["SOS105"].mend.replace("the exception that is named", f"`exceptions.{name}`")
            because = (f"dropped with reason {name}: {blocked.witness().start_line}",)
            message = f"`exceptions.{name}: drop` blocks {met}"
            yield Finding("SOS105", message, Place(policy.file), mend, because=because, named=(name,))


def _first_blocked(questioner: Questioner, pair: Pair, *first: LogFailed) -> Blocked | None:
    definition = questioner.policy.emergency
    for flow in selected(definition.flows):
        for form in base_forms(definition):
            blocked = questioner.ask(Probe(flow, form, pair, BASE_NS), *first)
            if blocked is not None and blocked.decision.decision.reason not in ("rule", "default"):
                return blocked
    return None


def _defective(policy: Policy) -> Policy:
    def fail(_facts: Facts) -> bool:
        raise _DefectError("a defect of sosgate, for lint")

    return replace(policy, rules=tuple(replace(rule, matches=fail, methods=None) for rule in policy.rules))
