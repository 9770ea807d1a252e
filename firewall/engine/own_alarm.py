"""Alarms about the firewall itself: the machine it runs on, its tables that are full, its defects."""

from typing import Literal

from firewall.engine.alarm import AlarmMemory, plain_alarm
from firewall.engine.events import (
    ConnectionsClosed,
    DatagramsLost,
    HandoverLost,
    InterceptionLost,
    LogFailed,
    LogRecovered,
    MachineEvent,
    PinholesRefused,
)
from firewall.engine.outputs import Write
from firewall.engine.record import Alarm, AlarmCode
from firewall.engine.recording import printable

FullTable = Literal["calls", "emergency_calls", "callers", "pinholes", "descriptions"]
_FULL: dict[FullTable, str] = {
    "calls": "the table of calls is full ({} calls): new calls cannot be followed",
    "emergency_calls": "the table of calls is full of emergency calls ({}): those that nobody has answered are "
    "forgotten for newer ones, the oldest first",
    "callers": "emergency callers are forgotten, {} numbers and addresses of others came since: who calls them back "
    "calls as an ordinary caller",
    "pinholes": "the table of pinholes is full ({}): media of new calls is not let through",
    "descriptions": "session descriptions of calls are forgotten, all of them take more than {} octets: media of some "
    "calls is let through as before, whatever they negotiate",
}


def machine_told(event: MachineEvent, alarms: AlarmMemory) -> list[Write]:
    """Say what is wrong with the machine that the firewall runs on."""
    alarm, subject = _of_machine(event, alarms.clock.wall_ns)
    is_new = not subject or alarms.first(alarm.alarm.code, subject)
    return [Write(alarm, urgent=subject != "")] if is_new else []  # a failing log is not synced


def table_full(table: FullTable, count: int, alarms: AlarmMemory) -> list[Write]:
    """Say what comes of a table that is full, of ``count`` entries."""
    if not alarms.first("table_full", table):
        return []
    alarm = plain_alarm("table_full", _FULL[table].format(count), alarms.clock.wall_ns)
    return [Write(alarm, urgent=table == "emergency_calls")]


def defect_told(defect: Exception, where: str, alarms: AlarmMemory) -> list[Write]:
    """Say that sosgate is wrong itself."""
    if not alarms.first("internal_error", type(defect).__name__, str(defect)):
        return []
    what = f"{type(defect).__name__}: {printable(str(defect))}"
    sentence = f"defect of sosgate {where}: {what}"
    return [Write(plain_alarm("internal_error", sentence, alarms.clock.wall_ns), urgent=True)]


def _of_machine(event: MachineEvent, wall_ns: int) -> tuple[Alarm, str]:
    """Return the alarm for trouble with the machine, and what it is about, of which one is enough ("": always told)."""
    code: AlarmCode
    match event:
        case LogFailed(error):
            code, subject = "log_unwritable", ""
            sentence = f"the decision log cannot be written: {error}; calls go on, decisions are being lost"
        case LogRecovered(lost, is_on_disk):
            code, subject = "log_recovered", ""
            sentence = f"the decision log can be written again; {_lost(lost, 'record')}"
            if not is_on_disk:
                sentence += ", and of those before the disk may lack some: it did not take all when it was to sync them"
        case InterceptionLost(what, effect, error):
            code, subject = "interception_lost", f"{what}: {error}"
            before, since = ("were lost", "are lost") if effect == "lost" else ("passed unseen", "pass unseen")
            outcome = f"messages {before} until it was put back, just now"
            if error is not None:
                outcome = f"messages {since}, for it cannot be put back: {printable(error)}"
            sentence = f"another program removed {what}: {outcome}"
        case HandoverLost(in_all):
            code, subject = "interception_lost", str(len(str(in_all)))  # tenfold is news
            sentence = (
                f"{_lost(in_all, 'message', ' that the kernel was to hand to sosgate')} since the start, perhaps of "
                "emergency calls: other programs' rules (nftables or iptables, on prerouting or input) drop them or "
                "take the mark 0x505 from them, a policy rule (ip rule) comes before sosgate's, or they come by a "
                "bridge and net.bridge.bridge-nf-call-iptables is on"
            )
        case DatagramsLost(in_all, loudest):
            code, subject = "datagrams_lost", str(len(str(in_all)))  # tenfold is news
            sentence = (
                f"{_lost(in_all, 'datagram')} since the start, perhaps of emergency calls: they came faster than "
                f"sosgate decides on them; {loudest}"
            )
        case ConnectionsClosed(count, in_all, loudest, of_loudest):
            code, subject = "connections_closed", loudest
            sentence = (
                f"all {in_all} TCP connections are in use, {of_loudest} of them by {loudest}: {count} were closed "
                "to make room for others, and so may more be"
            )
        case PinholesRefused(error):
            code, subject = "pinholes", error
            sentence = f"the kernel refuses a change of the sets of media: {error}"
    return plain_alarm(code, sentence, wall_ns), subject


def _lost(count: int, what: str, which: str = "") -> str:
    return f"{count} {what}{which} was lost" if count == 1 else f"{count} {what}s{which} were lost"
