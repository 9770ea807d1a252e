"""Rules, limits, schedules and the promises of ``must``: from YAML nodes to values."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, TypeVar, get_args

from firewall.errors import shown
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.expression import (
    Comparison,
    Condition,
    Field,
    Membership,
    atoms,
    methods_of,
    named_fields,
)
from firewall.ruleset.facts import Facts
from firewall.ruleset.fields import FIELDS, HEADER_FIELD, field_advice
from firewall.ruleset.node_reader import (
    UNIT_NS,
    Section,
    choice,
    duration_ns,
    fail,
    integer,
    items,
    name,
    scalar,
    some_items,
    suggestion,
)
from firewall.ruleset.parse import parse_expression
from firewall.ruleset.policy import Inspect, Limit, Must, MustVerdict, NamedSet, Rule, Verdict
from firewall.ruleset.schedule import DAY_S, DAYS, Schedule, TimeZone
from firewall.ruleset.schema import LIMIT_KEYS, MAX_BURST, MUST_KEYS, RATE, RULE_KEYS, SCHEDULE_KEYS, STATUSES
from firewall.ruleset.yaml_nodes import Node, Scalar, Sequence

_RATE = re.compile(RATE)
_HOURS = re.compile(r"([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})")
_MEDIA_PROTOCOLS = ("media", "rtp", "rtcp")
_ZONE_FIELDS = ("zone.src", "zone.dst")


T = TypeVar("T", Rule, Must)


class Sources(Protocol):
    """What a policy needs from outside: the files it names and time zones. ``cli/policy_file.py`` has the real one."""

    def read(self, path: str) -> bytes:
        """Return a file's bytes, its path relative to the policy.

        Raises:
            OSError: it cannot be read.
        """

    def timezone(self, name: str) -> TimeZone:
        """Return an IANA time zone.

        Raises:
            KeyError: there is none of that name.
        """


class RuleLoader:
    """Loads the rules of one policy."""

    def __init__(self, file: str, sources: Sources, sets: Mapping[str, NamedSet], zone_names: tuple[str, ...]) -> None:
        self._file = file
        self._sources = sources
        self._sets = sets
        self._zone_names = zone_names

    def rules(self, node: Node) -> tuple[Rule, ...]:
        """Read the list of rules.

        Raises:
            PolicyError: anything wrong with one of them.
        """
        return _named_once(map(self._rule, items(node, "rules")), "rule name")

    def must(self, node: Node) -> tuple[Must, ...]:
        """Read the list of promises.

        Raises:
            PolicyError: anything wrong with one of them.
        """
        return _named_once(map(self._must, items(node, "must")), "name in must")

    def _must(self, node: Node) -> Must:
        section = Section(node, "an entry of must", MUST_KEYS, required=MUST_KEYS)
        must_name = name(section.node("name"), "name")
        when, when_text = self._when(section.node("when"), "when")
        return Must(
            name=must_name,
            when=when,
            when_text=when_text,
            verdict=choice(get_args(MustVerdict))(section.node("verdict"), "verdict"),
            place=node.place,
        )

    def _rule(self, node: Node) -> Rule:
        section = Section(node, "a rule", RULE_KEYS, required=("name",))
        rule_name = name(section.node("name"), "name")
        if "action" not in section:
            fail(node.place, f'rule "{rule_name}" has no action', f"add action: {' | '.join(get_args(Verdict))}")
        action: Verdict = choice(get_args(Verdict))(section.node("action"), "action")
        if "status" in section and action != "reject":
            fail(section.key_place("status"), f"status stands only beside action: reject, not {action}", "remove it")
        if "ban" in section and action != "drop":
            fail(section.key_place("ban"), f"ban stands only beside action: drop, not {action}", "remove it")
        when, when_text = section.get("when", self._when, (None, ""))
        return Rule(
            name=rule_name,
            action=action,
            when=when,
            when_text=when_text,
            matches=compile_condition(when) if when is not None else _everything,
            place=node.place,
            status=section.get("status", integer(*STATUSES), 403),
            ban_ns=section.get("ban", duration_ns, None),
            limit=section.get("limit", _limit, None),
            schedule=section.get("schedule", self._schedule, None),
            shadow=section.get("mode", choice(("enforce", "shadow")), "enforce") == "shadow",
            inspect=self._inspect(section, when),
            about_media=when is not None and is_about_media(when),
            methods=methods_of(when) if when is not None else None,
        )

    def _inspect(self, section: Section, when: Condition | None) -> Inspect | None:
        if "inspect" in section and (when is None or not is_about_media(when)):
            advice = "name a field of media, rtp or rtcp in its condition, or remove inspect"
            fail(section.key_place("inspect"), "inspect stands only in a rule about media", advice)
        return section.get("inspect", choice(get_args(Inspect)), None)

    def _when(self, node: Node, what: str) -> tuple[Condition, str]:
        """Read an expression; the text is on one line."""
        expression = scalar(node, what)
        condition = parse_expression(expression.text, sets=self._sets, place=expression.place, locate=expression.locate)
        self._check_zones(condition, expression)
        return condition, " ".join(expression.text.split())

    def _check_zones(self, condition: Condition, expression: Scalar) -> None:
        """A zone that is not defined is a typing error, which would match nothing for ever."""
        for zone in _zones_named(condition):
            if zone not in self._zone_names:
                place = expression.locate(max(expression.text.find(f'"{zone}"'), 0))
                fail(place, f'there is no zone "{shown(zone)}"', suggestion(zone, self._zone_names))

    def _schedule(self, node: Node, _: str) -> Schedule:
        section = Section(node, "schedule", SCHEDULE_KEYS, required=("timezone",))
        zone_name = scalar(section.node("timezone"), "timezone")
        try:
            timezone = self._sources.timezone(zone_name.text)
        except (KeyError, ValueError, OSError):
            fail(
                zone_name.place,
                f'unknown time zone "{shown(zone_name.text)}"',
                "use an IANA name, as America/New_York or UTC",
            )
        start_s, end_s = section.get("hours", _hours, (0, DAY_S))
        return Schedule(section.get("days", _days, frozenset(range(7))), start_s, end_s, timezone)


def _named_once(found: Iterable[T], what: str) -> tuple[T, ...]:
    by_name: dict[str, T] = {}
    for each in found:
        first = by_name.setdefault(each.name, each)
        if first is not each:
            fail(each.place, f'duplicate {what} "{each.name}"; the first is at line {first.place.line}', "rename one")
    return tuple(by_name.values())


def is_about_media(condition: Condition) -> bool:
    """Tell whether a condition names a field of media (``media.*``, ``rtp.*``, ``rtcp.*``): it decides on flows."""
    return any(name.partition(".")[0] in _MEDIA_PROTOCOLS for name in named_fields(condition))


def _everything(_: Facts) -> bool:
    return True


def _zones_named(condition: Condition) -> Iterator[str]:
    for atom in atoms(condition):
        match atom:
            case Comparison(Field(field_name), "==" | "!=", str() as zone) if field_name in _ZONE_FIELDS:
                yield zone
            case Membership(Field(field_name), members) if field_name in _ZONE_FIELDS:
                yield from (zone for zone in members if isinstance(zone, str))


def _limit(node: Node, _: str) -> Limit:
    section = Section(node, "limit", LIMIT_KEYS, required=("rate",))
    rate = scalar(section.node("rate"), "rate")
    match = _RATE.fullmatch(rate.text)
    if match is None:
        fail(rate.place, f'rate "{shown(rate.text)}" is no rate', "write it as 30/2s or 100/1m (units ms s m h)")
    count = int(match[1])
    per = section.get("per", _per, ())
    burst = section.get("burst", integer(1, MAX_BURST), count)
    text = f"{rate.text} per {', '.join(per)}" if per else rate.text
    return Limit(
        count=count,
        period_ns=int(match[2]) * UNIT_NS[match[3]],
        burst=burst,
        per=per,
        text=text if burst == count else f"{text}, burst {burst}",
    )


def _per(node: Node, what: str) -> tuple[str, ...]:
    found = []
    for item in node.items if isinstance(node, Sequence) else (node,):
        field = scalar(item, what)
        spec = FIELDS.get(field.text)
        if spec is None or field.text == HEADER_FIELD:
            fail(field.place, f'{what}: unknown field "{shown(field.text)}"', field_advice(field.text))
        found.append(field.text)
    return tuple(dict.fromkeys(found))


def _days(node: Node, what: str) -> frozenset[int]:
    read = choice(DAYS)
    return frozenset(DAYS.index(read(item, "a day")) for item in some_items(node, what, "leave it out for every day"))


def _hours(node: Node, _: str) -> tuple[int, int]:
    found = scalar(node, "hours")
    match = _HOURS.fullmatch(found.text)
    if match is None:
        fail(found.place, f'hours "{shown(found.text)}" are no range', 'write them as "22:00-06:00"')
    start_s, end_s = (
        _second_of_day(found, int(hour), int(minute), is_end=is_end)
        for hour, minute, is_end in ((match[1], match[2], False), (match[3], match[4], True))
    )
    if start_s == end_s:
        fail(found.place, f"hours {found.text} begin and end at the same time", "leave hours out for the whole day")
    return start_s, end_s


def _second_of_day(found: Scalar, hour: int, minute: int, *, is_end: bool) -> int:
    if minute > 59 or hour > 24 or (hour == 24 and (minute or not is_end)):
        fail(found.place, f"{hour:02}:{minute:02} is no time of day", "use 00:00 to 23:59 (an end may be 24:00)")
    return hour * 3600 + minute * 60
