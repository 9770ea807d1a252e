"""Rules, schedules and the promises of ``must``: from YAML nodes to values."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, TypeVar, get_args

from firewall.errors import fail, shown
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
from firewall.ruleset.kind import Section, suggestion
from firewall.ruleset.parse import parse_expression
from firewall.ruleset.policy import Must, NamedSet, Rule, Verdict
from firewall.ruleset.schedule import DAY_S, Schedule, TimeZone
from firewall.ruleset.schema import MUST_KEYS, RULE_KEYS, SCHEDULE_KEYS
from firewall.ruleset.yaml_nodes import Node, Scalar

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

    def __init__(self, sources: Sources, sets: Mapping[str, NamedSet], zone_names: tuple[str, ...]) -> None:
        self._sources = sources
        self._sets = sets
        self._zone_names = zone_names

    def rules(self, nodes: Iterable[Node]) -> tuple[Rule, ...]:
        """Read the items of the list of rules.

        Raises:
            PolicyError: anything wrong with one of them.
        """
        return _named_once(map(self._rule, nodes), "rule name")

    def must(self, nodes: Iterable[Node]) -> tuple[Must, ...]:
        """Read the items of the list of promises.

        Raises:
            PolicyError: anything wrong with one of them.
        """
        return _named_once(map(self._must, nodes), "name in must")

    def _must(self, node: Node) -> Must:
        named = Section(node, "an entry of must", MUST_KEYS).values()
        when, when_text = self._when(named.pop("when"))
        return Must(**named, when=when, when_text=when_text, place=node.place)

    def _rule(self, node: Node) -> Rule:
        section = Section(node, "a rule", RULE_KEYS)
        if "action" not in section:
            advice = f"add action: {' | '.join(get_args(Verdict))}"
            fail(node.place, f'rule "{section.get("name")}" has no action', advice)
        named = section.values(ban="ban_ns", mode="shadow")
        for key, action in (("status", "reject"), ("ban", "drop")):
            if key in section and named["action"] != action:
                cause = f"{key} stands only beside action: {action}, not {named['action']}"
                fail(section.key_place(key), cause, "remove it")
        when, when_text = self._when(named.pop("when")) if "when" in named else (None, "")
        about_media = when is not None and is_about_media(when)
        if "inspect" in named and not about_media:
            advice = "name a field of media, rtp or rtcp in its condition, or remove inspect"
            fail(section.key_place("inspect"), "inspect stands only in a rule about media", advice)
        if "schedule" in named:
            named["schedule"] = self._schedule(named["schedule"])
        return Rule(
            **named,
            when=when,
            when_text=when_text,
            matches=compile_condition(when) if when is not None else _everything,
            place=node.place,
            about_media=about_media,
            methods=methods_of(when) if when is not None else None,
        )

    def _when(self, expression: Scalar) -> tuple[Condition, str]:
        """Read an expression; the text is on one line."""
        condition = parse_expression(expression.text, sets=self._sets, place=expression.place, locate=expression.locate)
        self._check_zones(condition, expression)
        return condition, " ".join(expression.text.split())

    def _check_zones(self, condition: Condition, expression: Scalar) -> None:
        """A zone that is not defined is a typing error, which would match nothing for ever."""
        for zone in _zones_named(condition):
            if zone not in self._zone_names:
                place = expression.locate(max(expression.text.find(f'"{zone}"'), 0))
                fail(place, f'there is no zone "{shown(zone)}"', suggestion(zone, self._zone_names))

    def _schedule(self, node: Node) -> Schedule:
        section = Section(node, "schedule", SCHEDULE_KEYS)
        zone = section.get("timezone")
        try:
            timezone = self._sources.timezone(zone.text)
        except (KeyError, ValueError, OSError):
            cause = f'unknown time zone "{shown(zone.text)}"'
            fail(zone.place, cause, "use an IANA name, as America/New_York or UTC")
        start_s, end_s = section.get("hours", (0, DAY_S))
        return Schedule(section.get("days", frozenset(range(7))), start_s, end_s, timezone)


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
