"""The generated page of every reason code and alarm: ``docs/reasons.md``."""

from firewall.engine.alarm_words import ALARMS
from firewall.engine.reasons import REASONS

_REASONS_HEAD = """\
# Reasons

Every code that a decision of the log carries, that says why a message could not be read, or that notes what is odd
about one that could; and every alarm. `sosgate explain CODE` shows the same text. This page is generated from the
engine's own tables.
"""
_KINDS = {
    "decision": "Why a message was decided as it was (`decision.reason`)",
    "malformed": "Why bytes are no SIP message (`decision.reason` under `exceptions.malformed`)",
    "anomaly": "What is odd about a message that could still be read (`anomalies`)",
    "media": "What is odd about the packets of a media flow (`anomalies` of an `rtp_decision`)",
}


def reasons_page() -> str:
    """Return the page of all reason codes and alarms, in Markdown."""
    parts = [_REASONS_HEAD]
    for kind, heading in _KINDS.items():
        parts.append(f"\n## {heading}\n")
        parts += [
            f"\n### `{reason.code}`\n\n{reason.title}. {reason.text}\n"
            for reason in REASONS.values()
            if reason.kind == kind
        ]
    parts.append("\n## Alarms\n\n| code | what happened |\n| --- | --- |\n")
    parts += [f"| `{code}` | {text} |\n" for code, text in ALARMS.items()]
    return "".join(parts)
