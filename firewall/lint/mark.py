"""Where to point for a finding: the stretch of the policy that is at fault."""

from collections.abc import Iterator

import yaml

from firewall.lint.finding import Finding, Mark
from firewall.lint.source import PolicySource

# Of a finding about a rule: the keys of the rule that are at fault, each with what to say of it.
_RULE_KEYS: dict[str, dict[str, str]] = {
    "SOS103": {"when": "emergency calls are counted, too", "limit": "and there are more of them than this"},
    "SOS104": {"when": "", "schedule": "at these hours"},
    "SOS109": {"when": "an ordinary message is enough", "ban": "and everybody behind its address is shut out"},
    "SOS112": {"when": "", "mode": "only this line keeps it from blocking calls"},
    "SOS201": {"when": "already taken"},
    "SOS202": {"when": "the next rule does the same"},
    "SOS203": {"when": "never true"},
    "SOS205": {"mode": "recorded only"},
}
# Of a finding about a setting: the keys at fault, of which the first that is there is pointed at.
_SETTINGS: dict[str, tuple[tuple[str, ...], ...]] = {
    "SOS113": (("emergency", "from"), ("emergency", "to"), ("zones",)),
    "SOS117": (("media", "timeout"),),
    "SOS118": (("media", "ports"),),
    "SOS208": (("emergency", "guard"),),
    "SOS209": (("policy",),),
    "SOS231": (("media", "ports"),),
    "SOS232": (("emergency", "numbers"),),
}


def marks_of(finding: Finding, source: PolicySource) -> tuple[Mark, ...]:
    """Return what to point at, in the order of the file; () where nothing narrower than the finding's line is known."""
    rule = source.rule(finding.rule) if finding.rule is not None else None
    if rule is not None:
        keys = _RULE_KEYS.get(finding.code, {"when": ""})
        marks = [mark for key, label in keys.items() for mark in _value_marks(source, rule, (key,), label)]
        return tuple(sorted(marks or _value_marks(source, rule, ("action",), "whatever the message"), key=_in_file))
    if finding.code == "SOS105":
        return tuple(_value_marks(source, source.root, ("exceptions", *finding.named), ""))
    if finding.code in _SETTINGS:
        found = [mark for path in _SETTINGS[finding.code] for mark in _value_marks(source, source.root, path, "")]
        return tuple(found[:1])
    return tuple(_at_place(finding, source))


def _in_file(mark: Mark) -> tuple[int, int]:
    return mark.line, mark.column


def _value_marks(source: PolicySource, node: yaml.Node, path: tuple[str, ...], label: str) -> Iterator[Mark]:
    entry = source.entry(node, *path)
    if entry is None:
        return
    start, end = source.span(entry.value)
    if end > start:
        yield source.mark(start, end, label)


def _at_place(finding: Finding, source: PolicySource) -> Iterator[Mark]:
    place = finding.place
    if place.line is None or place.column is None:
        return
    scalar = source.scalar_at(place.line, place.column)
    if scalar is not None:
        yield source.mark(*source.span(scalar))
