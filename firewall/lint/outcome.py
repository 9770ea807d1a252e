"""What lint did with one file: a report, or the sentence why the policy cannot be used."""

from dataclasses import dataclass

from firewall.errors import Place, PolicyError
from firewall.lint.codes import CODES
from firewall.lint.finding import Finding, Report, Result, Suppressed

EXIT_PROVED = 0
EXIT_FINDINGS = 1
EXIT_UNUSABLE = 2


@dataclass(frozen=True, slots=True)
class Unusable:
    """A policy that cannot be loaded."""

    file: str
    error: PolicyError

    @property
    def finding(self) -> Finding:
        """The same as a finding, for formats that know nothing else."""
        message = self.error.cause
        place = self.error.place or Place(self.file)
        return Finding("SOS001", message, place, self.error.next_step or CODES["SOS001"].mend)


Outcome = Report | Unusable


def all_findings(outcomes: list[Outcome]) -> list[Finding]:
    """Return the findings of every file, in the order of the files."""
    findings: list[Finding] = []
    for outcome in outcomes:
        findings += [outcome.finding] if isinstance(outcome, Unusable) else outcome.findings
    return findings


def all_suppressed(outcomes: list[Outcome]) -> list[Suppressed]:
    """Return what comments ignore in every file."""
    return [each for outcome in outcomes if isinstance(outcome, Report) for each in outcome.suppressed]


def result(outcomes: list[Outcome]) -> Result:
    """Return the worst of all: a call that is blocked, something that could not be decided, a proof."""
    results = {"undecided" if isinstance(outcome, Unusable) else outcome.result for outcome in outcomes}
    if "refuted" in results:
        return "refuted"
    return "undecided" if "undecided" in results else "proved"


def exit_code(outcomes: list[Outcome]) -> int:
    """Return what the command ends with (DESIGN section 7)."""
    if any(isinstance(outcome, Unusable) for outcome in outcomes):
        return EXIT_UNUSABLE
    return EXIT_PROVED if result(outcomes) == "proved" else EXIT_FINDINGS
