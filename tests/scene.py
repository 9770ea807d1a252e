"""A scene for engine tests: datagrams go in at named times, what the engine decided comes out."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from firewall.engine.engine import Engine
from firewall.engine.events import DatagramReceived, Event, Started, Stopped
from firewall.engine.outputs import Forward, Output, Reply, Write
from firewall.engine.record import Alarm, EmergencyCall, SipDecision
from firewall.engine.recovery import recall
from firewall.net.datagram import Datagram
from firewall.ruleset.load import load_policy
from firewall.ruleset.policy import Policy
from firewall.ruleset.schedule import TimeZone
from tests.messages import CARRIER, PSAP

SECOND = 1_000_000_000
START = 1_772_360_102 * SECOND  # 2026-03-01T10:15:02Z, a Sunday

ZONES = """
policy: test
zones:
  carrier: {interfaces: [f0], networks: [192.0.2.0/24, 203.0.113.0/24, "2001:db8:1::/64"], on_daemon_down: bypass}
  psap: {interfaces: [f1], networks: [198.51.100.0/24, "2001:db8:2::/64"], on_daemon_down: bypass}
"""
ALL = "  - {name: all, action: allow}"


class NoFiles:
    """Sources of a policy that names no file and no time zone."""

    def read(self, path: str) -> bytes:
        raise FileNotFoundError(path)

    def timezone(self, name: str) -> TimeZone:
        raise KeyError(name)


def policy(rules: str, *, default: str = "drop", guard: str = "off", more: str = "", emergency: str = "") -> Policy:
    """Return a policy with zones carrier and psap; ``rules`` is the YAML list below ``rules:``."""
    text = (
        f"{ZONES}emergency: {{numbers: ['911', '112'], test_numbers: ['933'], dial_prefixes: ['9', '1', '+1'],"
        f" from: [carrier], to: [psap], guard: {guard}{emergency}}}\n{more}\nrules:\n{rules}\ndefault: {default}\n"
    )
    return load_policy(text.encode(), file="policy.yaml", sources=NoFiles())


def drop(method: str) -> str:
    """Rules that drop one method and allow all others."""
    return f"  - {{name: no-{method.lower()}, when: 'sip.Method == \"{method}\"', action: drop}}\n" + ALL


@dataclass
class Told:
    """What one event led to."""

    outputs: list[Output] = field(default_factory=list)

    @property
    def decision(self) -> SipDecision:
        (record,) = [o.record for o in self.outputs if isinstance(o, Write) and isinstance(o.record, SipDecision)]
        return record

    @property
    def verdict(self) -> str:
        return self.decision.decision.verdict

    @property
    def reason(self) -> str:
        return self.decision.decision.reason

    @property
    def forwarded(self) -> list[Datagram]:
        return [o.datagram for o in self.outputs if isinstance(o, Forward)]

    @property
    def replies(self) -> list[Datagram]:
        return [o.datagram for o in self.outputs if isinstance(o, Reply)]

    @property
    def alarms(self) -> list[Alarm]:
        return [o.record for o in self.outputs if isinstance(o, Write) and isinstance(o.record, Alarm)]

    @property
    def calls(self) -> list[EmergencyCall]:
        return [o.record for o in self.outputs if isinstance(o, Write) and isinstance(o.record, EmergencyCall)]


class Scene:
    """One engine and the time in seconds; it starts at ``at_s``, with the log of an earlier run where there is one."""

    def __init__(self, rules: Policy, *, takeover: bool = False, past: Iterable[bytes] = (), at_s: float = 0.0) -> None:
        self.engine = Engine(rules)
        flows = recall(self.engine, past)
        self.tell(Started(takeover=takeover), at_s=at_s)
        self.tell(flows, at_s=at_s)

    def tell(self, event: Event, *, at_s: float) -> Told:
        return Told(self.engine.handle(event, START + round(at_s * SECOND)))

    def carrier(self, payload: bytes, *, at_s: float = 0.0, src: tuple[str, int] = CARRIER) -> Told:
        """A datagram from the carrier to the PSAP."""
        return self.tell(DatagramReceived(Datagram(*src, *PSAP, payload, in_iface="f0")), at_s=at_s)

    def psap(self, payload: bytes, *, at_s: float = 0.0) -> Told:
        """A datagram from the PSAP to the carrier."""
        return self.tell(DatagramReceived(Datagram(*PSAP, *CARRIER, payload, in_iface="f1")), at_s=at_s)

    def stops(self, *, at_s: float) -> Told:
        return self.tell(Stopped(), at_s=at_s)
