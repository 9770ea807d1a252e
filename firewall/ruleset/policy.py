"""The policy as a value: what the loader makes of a YAML file, and all the engine and lint know of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from firewall.errors import Place
from firewall.net.address import Network
from firewall.net.datagram import MAX_PORT
from firewall.net.media_port import FIRST_MEDIA_PORT
from firewall.net.signalling import SIP_PORT
from firewall.ruleset.expression import Condition
from firewall.ruleset.facts import Facts
from firewall.ruleset.schedule import Schedule

Verdict = Literal["allow", "drop", "reject"]
ExceptionVerdict = Literal["allow", "drop"]
MustVerdict = Literal["allow", "drop"]
Guard = Literal["enforce", "alert", "off"]
MediaMode = Literal["enforce", "shadow", "off"]
MediaSource = Literal["address", "port", "zone"]
MediaEarly = Literal["offer", "answer"]
MediaNat = Literal["off", "latch"]
Inspect = Literal["first", "sample", "all"]
"""Which packets of an established flow are looked at: the first ones, those and a sample of the rest, every one."""
Flow = Literal["voice", "media", "rtt", "text", "callback", "keepalive", "transfer", "location", "registration"]

DEFAULT_NUMBERS = ("911", "112")
DEFAULT_FLOWS: tuple[Flow, ...] = ("voice", "media", "rtt", "text", "callback", "keepalive")


@dataclass(frozen=True, slots=True)
class Zone:
    """Who is where: a packet is in the zone when its interface and its address both fit, as far as known."""

    name: str
    interfaces: tuple[str, ...]
    networks: tuple[Network, ...]
    on_daemon_down: Literal["bypass", "block"]
    place: Place


@dataclass(frozen=True, slots=True)
class StringSet:
    """A named set of strings, compared exactly. ``lines`` are the places of a list file's entries, () for another."""

    name: str
    values: frozenset[str]
    place: Place
    lines: tuple[tuple[str, Place], ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class NetworkSet:
    """A named set of networks of either family, sorted and merged."""

    name: str
    networks: tuple[Network, ...]
    place: Place


NamedSet = StringSet | NetworkSet


@dataclass(frozen=True, slots=True)
class Surge:
    """The mass-casualty load that no limit may cut into: calls per second in all, and from one source."""

    calls_per_second: int
    per_source: int


@dataclass(frozen=True, slots=True)
class EmergencyPolicy:
    """What this network calls an emergency, and between which zones it must always pass (section ``emergency``)."""

    numbers: tuple[str, ...] = DEFAULT_NUMBERS
    test_numbers: tuple[str, ...] = ()
    dial_prefixes: tuple[str, ...] = ()
    from_zones: tuple[str, ...] = ()
    to_zones: tuple[str, ...] = ()
    flows: tuple[Flow, ...] = DEFAULT_FLOWS
    surge: Surge | None = None
    guard: Guard = "enforce"

    @property
    def zones(self) -> tuple[str, ...]:
        """Return the zones at either end of emergency calls, each once."""
        return tuple(dict.fromkeys((*self.from_zones, *self.to_zones)))


@dataclass(frozen=True, slots=True)
class ExceptionPolicies:
    """The verdicts that no rule gives: what happens to a message when the firewall itself has a problem."""

    malformed: ExceptionVerdict = "drop"
    table_full: ExceptionVerdict = "allow"
    internal_error: ExceptionVerdict = "allow"
    log_unwritable: ExceptionVerdict = "allow"


@dataclass(frozen=True, slots=True)
class MediaPolicy:
    """Which media may pass (section ``media``).

    ``source``: what must fit of a packet's source beside its destination: the negotiated address, address and port
    (RFC 4961), or only the zone. ``early``: whether the offer or only the answer opens the way to who offered.
    ``nat`` latch: media of who names an address outside its zone, or none, comes from, and goes to, where its
    signalling comes from, and that of who names a port that is not its own to where it comes from. ``ports``: first and
    last on which media may be negotiated. ``other_ports``: UDP that is no media. ``places`` tells where each key stands
    that was written.
    """

    mode: MediaMode = "enforce"
    source: MediaSource = "address"
    early: MediaEarly = "offer"
    nat: MediaNat = "off"
    ports: tuple[int, int] = (FIRST_MEDIA_PORT, MAX_PORT)
    other_ports: frozenset[int] = frozenset()
    grace_ns: int = 500_000_000
    timeout_ns: int = 3_600_000_000_000
    inspect: Inspect = "sample"
    places: tuple[tuple[str, Place], ...] = field(default=(), compare=False, repr=False)

    def line(self, key: str) -> int | None:
        """Return the line of a key, None where its default holds."""
        return next((place.line for name, place in self.places if name == key), None)


@dataclass(frozen=True, slots=True)
class Limit:
    """A token bucket: ``count`` messages each ``period_ns`` refill it, ``burst`` fit in. Above it the rule matches.

    ``per`` names the fields whose values key the buckets; empty means one bucket for all.
    """

    count: int
    period_ns: int
    burst: int
    per: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: when it matches, first match decides.

    ``matches`` is ``when`` compiled for the packet path; ``when`` is None for a rule that matches everything.
    ``status`` is the SIP status of a reject (300..699). ``ban_ns`` is how long a source stays banned after a drop.
    ``about_media``: ``when`` names a field of media, so the rule decides on media flows, too; ``inspect`` is its own
    choice of the packets to look at. ``methods``: ``when`` is true of no message but a request with one of these; None:
    the rule must be asked about every message.
    """

    name: str
    action: Verdict
    when: Condition | None
    when_text: str
    matches: Callable[[Facts], bool] = field(compare=False, repr=False)
    place: Place
    status: int = 403
    ban_ns: int | None = None
    limit: Limit | None = None
    schedule: Schedule | None = None
    shadow: bool = False
    inspect: Inspect | None = None
    about_media: bool = False
    methods: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Must:
    """A promise of the policy that lint proves and the engine ignores: what becomes of every message like this.

    ``allow``: each of them passes, and no address that sends them is ever banned. ``drop``: none of them passes.
    """

    name: str
    when: Condition
    when_text: str
    verdict: MustVerdict
    place: Place


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy file, checked and compiled. ``sha256`` is of the file's bytes, as ``sha256sum`` prints it."""

    name: str
    file: str
    sha256: str
    zones: tuple[Zone, ...]
    sets: tuple[NamedSet, ...]
    emergency: EmergencyPolicy
    exceptions: ExceptionPolicies
    rules: tuple[Rule, ...]
    default: ExceptionVerdict
    default_place: Place
    signalling_ports: frozenset[int] = frozenset({SIP_PORT})
    media: MediaPolicy = field(default_factory=MediaPolicy)
    must: tuple[Must, ...] = ()

    def rule_named(self, name: str | None) -> Rule | None:
        """Return the rule of a name, as a decision has it; None where no rule decided."""
        return next((rule for rule in self.rules if rule.name == name), None)
