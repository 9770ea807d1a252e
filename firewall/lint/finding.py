"""What lint found: findings with their witnesses, and the report about one policy."""

from dataclasses import dataclass
from typing import Literal

from firewall.errors import Place
from firewall.lint.codes import CODES, Code
from firewall.net.datagram import Datagram
from firewall.ruleset.facts import EmergencyMark
from firewall.ruleset.policy import Policy, Rule

Result = Literal["refuted", "undecided", "proved"]

UNDECIDED = "SOS115"
"""The code of a question that has no answer: never counted as clean."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One datagram of a witness and its instant (ns since the epoch)."""

    at_ns: int
    datagram: Datagram
    label: str


@dataclass(frozen=True, slots=True)
class Witness:
    """A call that the engine blocks: every datagram up to and including the blocked one, and what was decided on it.

    ``verdict``, ``rule`` and ``reason`` are the decision log's words; ``emergency`` is the mark the message had.
    """

    name: str
    sent: tuple[Sent, ...]
    verdict: str
    reason: str
    rule: str | None
    emergency: EmergencyMark | None

    @property
    def blocked(self) -> Sent:
        """The message that did not pass."""
        return self.sent[-1]

    @property
    def start_line(self) -> str:
        """The first line of the blocked message."""
        return self.text.split("\r\n", 1)[0]

    @property
    def text(self) -> str:
        """The blocked message as text; bytes that are no UTF-8 are escaped."""
        return self.blocked.datagram.payload.decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Edit:
    """Text that takes the place of a stretch of the policy: from line and column up to, not with, the end. 1-based."""

    line: int
    column: int
    end_line: int
    end_column: int
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """A change that mends a finding; its edits stand in the order of the file and do not overlap.

    ``is_certain`` is False where a person has to decide whether it is what was meant: ``--fix`` then leaves it alone.
    """

    description: str
    edits: tuple[Edit, ...]
    is_certain: bool = True


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of the policy to point at, as an ``Edit`` counts it. ``label`` says why, "" where that is plain."""

    line: int
    column: int
    end_line: int
    end_column: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong at one place. ``because`` are further sentences, ``help`` is the way out.

    ``named`` is what it names beside its rule: other rules, a set, an exception, a keep-alive.
    ``fix`` and ``marks`` come with the policy's text (``examine.py``): a finding about a policy alone has none.
    """

    code: str
    message: str
    place: Place
    help: str
    rule: str | None = None
    because: tuple[str, ...] = ()
    witness: Witness | None = None
    named: tuple[str, ...] = ()
    fix: Fix | None = None
    marks: tuple[Mark, ...] = ()

    @classmethod
    def about(cls, code: str, message: str, at: Rule | Place, *because: str) -> "Finding":
        """Return a finding about a rule, or at a place that is no rule's, with the help of its code."""
        if isinstance(at, Rule):
            return cls(code, message, at.place, CODES[code].mend_of(at), at.name, because)
        return cls(code, message, at, CODES[code].mend, None, because)

    @property
    def kind(self) -> Code:
        """The code's row in the table."""
        return CODES[self.code]

    @property
    def identity(self) -> tuple[str, str]:
        """What stays of it when lines move: the code, and the rule or else the sentence."""
        return self.code, self.rule or self.message

    @property
    def is_error(self) -> bool:
        """Whether the policy must not be used like this."""
        return self.kind.severity == "error"


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A finding that an ignore comment of the policy silences, with the comment's reason and line."""

    finding: Finding
    reason: str
    line: int


@dataclass(frozen=True, slots=True)
class Extent:
    """How much was asked: messages of emergency flows, of which so many kinds differ to the rules, and the rest.

    ``pairs`` are pairs of zones, ``times`` the combinations of active schedules, ``questions`` those put to the solver.
    """

    messages: int = 0
    kinds: int = 0
    flows: int = 0
    pairs: int = 0
    times: int = 0
    questions: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """All that lint has to say about one policy, the gravest and earliest first; ``text`` is the policy's own."""

    policy: Policy
    findings: tuple[Finding, ...]
    extent: Extent
    suppressed: tuple[Suppressed, ...] = ()
    text: str = ""

    @property
    def result(self) -> Result:
        """``refuted`` when a call is blocked, ``undecided`` when that is all that is not known, else ``proved``."""
        errors = {finding.code for finding in self.findings if finding.is_error}
        if errors - {UNDECIDED}:
            return "refuted"
        return "undecided" if errors else "proved"


_ORDER = {"error": 0, "warning": 1, "info": 2}


def sorted_findings(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return findings by severity, then by place."""
    return tuple(
        sorted(
            findings,
            key=lambda each: (_ORDER[each.kind.severity], each.place.line or 0, each.place.column or 0, each.code),
        )
    )
