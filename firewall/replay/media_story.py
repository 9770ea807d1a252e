"""The media of one call, from its records in the decision log: a line for each flow, and why somebody was not heard."""

from collections.abc import Iterable

from firewall.engine.media_record import SETTINGS
from firewall.engine.reasons import REASONS
from firewall.engine.record import LogRecord
from firewall.engine.recording import endpoint_text

_ENDED = ("closed", "ended")


def media_lines(records: Iterable[LogRecord]) -> tuple[str, ...]:
    """Return a line for each media flow that had packets or was not let through, the first record's first."""
    flows: dict[tuple[str, ...], LogRecord] = {}
    for record in records:
        if record["event_type"] == "rtp_decision":
            # A flow is known by where it goes and who sends it; its port of origin is learned from its packets.
            refused = record["decision"]["reason"] if record["state"] in ("refused", "ended") else ""
            key = (record["src_ip"], record["dest_ip"], str(record["dest_port"]), record["rtp"]["protocol"], refused)
            known = flows.get(key)
            if known is None or known["state"] not in _ENDED or record["rtp"].get("packets"):
                flows[key] = record
    return tuple(_line(record) for record in flows.values() if _is_worth_telling(record))


def loss_cause(ledger: LogRecord | None) -> str | None:
    """Return why one side of a call, or both, was not heard; None where the ledger knows of no such thing."""
    losses = ledger.get("media_loss") if ledger else None
    if not losses:
        return None
    parts = [f"nothing of {loss['side']} reached {_endpoint(loss, 'dest')}: {loss['cause']}" for loss in losses]
    return f"the call was answered, but {'; '.join(parts)}"


def setting_to_mend(reason: str, then: str) -> str | None:
    """Return what to change where a setting of the section ``media`` decided, and ``then``; None for other reasons."""
    if reason == "media_family_gap":
        return f"add the zone's networks of that address family; {then}"
    key = SETTINGS.get(reason)
    return f"change media.{key} (sosgate explain {reason}); {then}" if key else None


def _is_worth_telling(record: LogRecord) -> bool:
    return bool(record["rtp"].get("packets")) or record["decision"]["verdict"] != "allow"


def _line(record: LogRecord) -> str:
    rtp, decision = record["rtp"], record["decision"]
    parts = [decision["verdict"]]
    if decision["verdict"] != "allow":
        reason = REASONS.get(decision["reason"])
        by = f'rule "{decision["rule"]}"' if decision["rule"] else reason.title if reason else decision["reason"]
        parts[0] += f" ({by})" if decision["enforced"] else f", but passed ({decision['override']}): {by}"
    parts.append(f"{rtp.get('packets', 0)} packets")
    streams = rtp.get("streams", ())
    parts += [f"{stream['lost']} lost, jitter {stream['mean_jitter_ms']:.1f} ms" for stream in streams]
    parts += record["anomalies"]
    return (
        f"{rtp['kind']} {rtp['protocol']} {_endpoint(record, 'src')} -> {_endpoint(record, 'dest')}: {', '.join(parts)}"
    )


def _endpoint(record: LogRecord, end: str) -> str:
    ip, port = str(record[f"{end}_ip"]), int(record.get(f"{end}_port", 0))
    return endpoint_text(ip, port) if port else ip
