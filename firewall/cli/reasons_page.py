"""The generated page of every reason code: ``docs/reasons.md``."""

from firewall.engine.reasons import REASONS

_REASONS_HEAD = """\
# Reasons

Every code that a decision of the log carries, that says why a message could not be read, or that notes what is odd
about one that could. `sosgate explain CODE` shows the same text. This page is generated from the engine's own table.
"""
_KINDS = {
    "decision": "Why a message was decided as it was (`decision.reason`)",
    "malformed": "Why bytes are no SIP message (`decision.reason` under `exceptions.malformed`)",
    "anomaly": "What is odd about a message that could still be read (`anomalies`)",
    "media": "What is odd about the packets of a media flow (`anomalies` of an `rtp_decision`)",
}


def reasons_page() -> str:
    """Return the page of all reason codes, in Markdown."""
    parts = [_REASONS_HEAD]
    for kind, heading in _KINDS.items():
        parts.append(f"\n## {heading}\n")
        parts += [
            f"\n### `{reason.code}`\n\n{reason.title}. {reason.text}\n"
            for reason in REASONS.values()
            if reason.kind == kind
        ]
    return "".join(parts)
