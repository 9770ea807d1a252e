"""Fixes: the change of the policy's text that would mend a finding. ``mend.py`` tries whether it does.

A fix is certain where there is one way to mend the finding (exempt emergency calls from the guilty rule), or where it
changes no decision (a rule that the next one repeats). Where a person must say what was meant, it is only offered.
"""

import yaml

from firewall.lint.finding import Edit, Finding, Fix
from firewall.lint.source import Entry, PolicySource, is_block, start_of
from firewall.ruleset.expression import And, Comparison, Condition, Field, Not, Or, is_about_emergencies, is_about_zones
from firewall.ruleset.policy import Policy, Rule

_EXEMPT = ("SOS101", "SOS102", "SOS103", "SOS104", "SOS106", "SOS108", "SOS110", "SOS111", "SOS112", "SOS116")
_NOT_EMERGENCY = Not(Comparison(Field("emergency"), "==", True))


def fix_of(finding: Finding, policy: Policy, source: PolicySource) -> Fix | None:
    """Return the fix of a finding, None where there is none or the policy's layout leaves no place for it."""
    if finding.fix is not None:
        return finding.fix
    rule = policy.rule_named(finding.rule)
    if rule is not None:
        return _rule_fix(finding, rule, policy, source)
    match finding.code:
        case "SOS105":
            return _set_value(source, "allow", "exceptions", *finding.named)
        case "SOS206":
            return _without_set(source, *finding.named)
        case "SOS208":
            return _set_value(source, "enforce", "emergency", "guard", is_certain=False)
        case _:
            return None


def _rule_fix(finding: Finding, rule: Rule, policy: Policy, source: PolicySource) -> Fix | None:
    if finding.code in _EXEMPT:
        if _has_exemption(rule.when) or finding.named == ("keep-alive",):  # that has no mark to exempt it by
            return None
        if is_about_emergencies(rule.when):
            return _without_rule(source, rule, is_certain=False)
        return _narrowed(source, rule, "not emergency", f'Exempt emergency calls from rule "{rule.name}"')
    match finding.code:
        case "SOS109" if policy.emergency.from_zones:
            trusted = policy.emergency.zones
            if is_about_zones(rule.when, trusted):
                return _without_ban(source, rule)
            # Without braces and commas: a rule on one line ends at them.
            others = " and ".join(f'not zone.src == "{zone}"' for zone in trusted)
            description = f'Keep the zones of emergency calls out of rule "{rule.name}"'
            return _narrowed(source, rule, others, description, is_certain=False)
        case "SOS201":
            covers = [each for each in policy.rules if each.name in finding.named]
            return _without_rule(source, rule, is_certain=bool(covers) and _do_the_same(covers, rule))
        case "SOS202":
            return _without_rule(source, rule, is_certain=True)
        case "SOS203":
            return _without_rule(source, rule, is_certain=False)
        case _:
            return None


def _has_exemption(when: Condition | None) -> bool:
    return when == _NOT_EMERGENCY or (isinstance(when, And) and _NOT_EMERGENCY in when.conditions)


def _do_the_same(covers: list[Rule], rule: Rule) -> bool:
    """Whether the rules that take its messages do with them what it would do.

    If they do something else, its author wanted something that does not happen, and a person has to see that.
    """
    wanted = (rule.action, rule.status, rule.ban_ns)
    return all((each.action, each.status, each.ban_ns) == wanted for each in covers)


def _narrowed(
    source: PolicySource, rule: Rule, condition: str, description: str, *, is_certain: bool = True
) -> Fix | None:
    node = source.rule(rule.name)
    if node is None:
        return None
    when = source.entry(node, "when")
    if when is None:
        return _fix(description, _new_key(source, node, f"when: {condition}"), is_certain=is_certain)
    if not isinstance(when.value, yaml.ScalarNode):
        return None
    start, end = _expression_span(source, when.value)
    if when.value.style == '"':
        condition = condition.replace('"', '\\"')
    if not isinstance(rule.when, Or):
        return Fix(description, (source.edit(end, end, f" and {condition}"),), is_certain)
    edits = source.edit(start, start, "("), source.edit(end, end, f") and {condition}")
    return Fix(description, edits, is_certain)


def _expression_span(source: PolicySource, value: yaml.ScalarNode) -> tuple[int, int]:
    """Return where the expression's first and last character stand, inside quotes or a block scalar too."""
    start, end = source.span(value)
    if value.style in ("'", '"'):
        start, end = start + 1, end - 1
    text = source.text[start:end]
    return start + len(text) - len(text.lstrip()), start + len(text.rstrip())


def _new_key(source: PolicySource, node: yaml.MappingNode, text: str) -> Edit | None:
    """Return the edit that puts a key behind a rule's name."""
    name = source.entry(node, "name")
    if name is None:
        return None
    if name.index + 1 < len(node.value):
        following = start_of(node.value[name.index + 1][0])
        apart = ", " if node.flow_style else source.newline + " " * (source.position(following)[1] - 1)
        return source.edit(following, following, text + apart)
    end = source.end_of(name.value)
    if node.flow_style:
        return source.edit(end, end, f", {text}")
    key = start_of(name.key)
    return source.edit(key, key, text + source.newline + " " * (source.position(key)[1] - 1))


def _set_value(source: PolicySource, value: str, *path: str, is_certain: bool = True) -> Fix | None:
    entry = source.entry(source.root, *path)
    if entry is None or not isinstance(entry.value, yaml.ScalarNode) or is_block(entry.value):
        return None
    edit = source.edit(start_of(entry.value), source.end_of(entry.value), value)
    return Fix(f"Set {'.'.join(path)}: {value}", (edit,), is_certain)


def _without_set(source: PolicySource, name: str) -> Fix | None:
    description = f'Delete the set "{name}"'
    sets, entry = source.entry(source.root, "sets"), source.entry(source.root, "sets", name)
    if sets is None or entry is None or not isinstance(sets.value, yaml.MappingNode):
        return None
    if len(sets.value.value) == 1:
        return _fix(description, _without_item(source, source.root, sets.index))
    return _fix(description, _without_item(source, sets.value, entry.index))


def _without_rule(source: PolicySource, rule: Rule, *, is_certain: bool) -> Fix | None:
    rules: Entry | None = source.entry(source.root, "rules")
    if rules is None or not isinstance(rules.value, yaml.SequenceNode) or len(rules.value.value) == 1:
        return None
    index = source.rule_number(rule.name)
    if index is None:
        return None
    return _fix(f'Delete rule "{rule.name}"', _without_item(source, rules.value, index), is_certain=is_certain)


def _without_ban(source: PolicySource, rule: Rule) -> Fix | None:
    node = source.rule(rule.name)
    ban = source.entry(node, "ban")
    if node is None or ban is None or ban.index == 0:  # a first key has the dash of its rule before it
        return None
    return _fix(f'Drop without a ban in rule "{rule.name}"', _without_item(source, node, ban.index), is_certain=False)


def _fix(description: str, edit: Edit | None, *, is_certain: bool = True) -> Fix | None:
    return Fix(description, (edit,), is_certain) if edit is not None else None


def _without_item(source: PolicySource, parent: yaml.CollectionNode, index: int) -> Edit | None:
    start, end = _span(source, parent.value[index])
    if not parent.flow_style:
        return _without_block_item(source, start, end, is_first=index == 0)
    if index + 1 < len(parent.value):
        end = _span(source, parent.value[index + 1])[0]
    elif index:
        start = _span(source, parent.value[index - 1])[1]
    return source.edit(start, end, "") if "#" not in source.text[start:end] else None


def _span(source: PolicySource, item: yaml.Node | tuple[yaml.Node, yaml.Node]) -> tuple[int, int]:
    if isinstance(item, tuple):
        return start_of(item[0]), max(source.end_of(item[0]), source.end_of(item[1]))
    return start_of(item), source.end_of(item)


def _without_block_item(source: PolicySource, start: int, end: int, *, is_first: bool) -> Edit | None:
    """Delete an item's lines with the comment directly above it, and one of two blank lines that would meet."""
    text = source.text
    line = source.line_start(start)
    if text[line:start].strip() not in ("", "-") or not _is_blank_or_comment(text[end : source.line_end(end)]):
        return None
    while line and text[source.line_start(line - 1) : line].lstrip().startswith("#"):
        line = source.line_start(line - 1)
    stop = source.next_line(end)
    is_apart = is_first or not text[source.line_start(max(line - 1, 0)) : line].strip()
    while is_apart and stop < len(text) and not text[stop : source.line_end(stop)].strip():
        stop = source.next_line(stop)
    return source.edit(line, stop, "")


def _is_blank_or_comment(text: str) -> bool:
    return not text.strip() or text.lstrip().startswith("#")
