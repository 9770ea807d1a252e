"""Whose fault a blocked message is, and which code that has."""

from firewall.lint.probe import Blocked
from firewall.ruleset.policy import Rule

CODE_OF_ROLE = {
    "initial": "SOS101",
    "mid_call": "SOS102",
    "callback": "SOS106",
    "keepalive": "SOS107",
    "text": "SOS108",
    "registration": "SOS111",
}


def code_of(blocked: Blocked, guilty: Rule | None) -> str:
    """Return the code of a blocked probe."""
    reason = blocked.decision.decision.reason
    if blocked.probe.flow.form_flow is not None and blocked.probe.form.is_test:
        return "SOS110"
    if reason == "banned":
        return "SOS109"
    if blocked.step.role == "keepalive" and reason in ("rule", "default"):
        return "SOS107"  # a limit or schedule, too: it has no mark by which the rule could exempt it
    if guilty is not None and guilty.limit is not None:
        return "SOS103"
    if guilty is not None and guilty.schedule is not None:
        return "SOS104"
    if reason not in ("rule", "default"):
        return "SOS105"
    return CODE_OF_ROLE[blocked.step.role]
