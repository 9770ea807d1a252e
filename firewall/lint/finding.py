"""What lint found: findings with their witnesses, and the report about one policy."""

from dataclasses import astuple, dataclass
from typing import Literal

from firewall.errors import Place
from firewall.lint.codes import CODES, Code
from firewall.net.datagram import Datagram
from firewall.ruleset.facts import EmergencyMark
from firewall.ruleset.policy import Policy

Result = Literal["refuted", "clean"]


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
class Finding:
    """One thing wrong at one place. ``because`` are further sentences, ``help`` is the way out."""

    code: str
    message: str
    place: Place
    help: str
    rule: str | None = None
    because: tuple[str, ...] = ()
    witness: Witness | None = None

    @property
    def kind(self) -> Code:
        """The code's row in the table."""
        return CODES[self.code]

    @property
    def is_error(self) -> bool:
        """Whether the policy must not be used like this."""
        return self.kind.severity == "error"


@dataclass(frozen=True, slots=True)
class Extent:
    """How much was asked: probes in all, and how many different forms, flows, pairs of addresses and instants."""

    probes: int = 0
    messages: int = 0
    forms: int = 0
    flows: int = 0
    pairs: int = 0
    instants: int = 0
    blocked: int = 0

    def __add__(self, more: "Extent") -> "Extent":
        """Return both: what was asked here and there."""
        mine, theirs = astuple(self), astuple(more)
        return Extent(*(one + other for one, other in zip(mine, theirs, strict=True)))


@dataclass(frozen=True, slots=True)
class Report:
    """All that lint has to say about one policy, the gravest and earliest first."""

    policy: Policy
    findings: tuple[Finding, ...]
    extent: Extent

    @property
    def result(self) -> Result:
        """``refuted`` when a call is blocked; else ``clean``, which is no proof."""
        return "refuted" if any(finding.is_error for finding in self.findings) else "clean"


_ORDER = {"error": 0, "warning": 1, "info": 2}


def sorted_findings(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return findings by severity, then by place."""
    return tuple(
        sorted(
            findings,
            key=lambda each: (_ORDER[each.kind.severity], each.place.line or 0, each.place.column or 0, each.code),
        )
    )
