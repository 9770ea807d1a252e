"""The message that is edited: what of it is held, and what a text should keep where nothing asks for a change."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

from firewall.lint.language.carrier import LINE, OF_BODY, REQUEST_LINE, SDP, STATUS_LINE, TOP_BRANCH, Carrier, places
from firewall.lint.language.draft import Draft, read_draft
from firewall.lint.language.jury import facts_of, holds_of_message
from firewall.lint.language.narrow import enclosing
from firewall.lint.language.regex import read_regex
from firewall.lint.language.search import Bound, Question
from firewall.ruleset.expression import Comparison, Exists, Field
from firewall.ruleset.facts import Facts
from firewall.ruleset.fields import FIELDS
from firewall.ruleset.literal import text_bytes
from firewall.sip.headers import canonical_name
from firewall.sip.message import Message, Request, parse_message

DIALOG_HELD = frozenset({"method", "cseq", "call-id", "from-tag", "to-tag", "branch"})
"""What makes a message one of its dialog and transaction; these names hold a part of a carrier or a small one."""


class Template:
    """A well-formed message with the names of what may not change. ``is_kept``: its texts stay where nothing asks."""

    def __init__(self, payload: bytes, held: Iterable[str]) -> None:
        self.payload = payload
        self.message: Message = parse_message(payload)
        self.held = frozenset(name if name in DIALOG_HELD else canonical_name(name) for name in held)
        self.draft: Draft = read_draft(payload)
        self.facts = self._facts(payload)
        self.is_request = isinstance(self.message, Request)
        self.is_kept = True

    def _facts(self, payload: bytes) -> Facts:
        facts = facts_of(payload)
        if facts is None:
            raise ValueError("the template is no SIP message")
        return facts

    @property
    def skeleton(self) -> tuple[bytes, ...]:
        """Texts that are in the message however it is edited, after the start line."""
        held = {"cseq": "cseq" in self.held, "call-id": "call-id" in self.held}
        values = [self.message.header(name) or "" for name, is_held in held.items() if is_held]
        return (b"SIP/2.0/", *(text_bytes(value) for value in values))

    def is_fixed(self, carrier: Carrier) -> bool:
        """Tell whether nothing of a carrier may change, or there is none in this kind of message."""
        if carrier.name in ("r-uri", "status"):
            return (carrier is REQUEST_LINE) is not self.is_request or carrier.name in self.held
        if carrier.name in OF_BODY and "body" in self.held:
            return True
        return carrier.name in self.held

    def holds_at(self, carrier: Carrier, bound: Bound) -> bool:
        """Tell whether a condition holds of what a fixed carrier has."""
        if carrier.name in ("r-uri", "status", "sdp"):
            return holds_of_message(bound.atom, self.facts)
        alone = self._facts(self.draft.only(carrier.name).payload)
        return holds_of_message(bound.atom, alone)

    def held_at(self, carrier: Carrier) -> tuple[frozenset[Bound], frozenset[Bound]]:
        """Return what must be seen at a carrier, and what must not, because a part of it is held."""
        message = self.message
        match carrier.name:
            case "r-uri" if "method" in self.held and isinstance(message, Request):
                return _kept(Field("sip.Method"), message.method)
            case "from" if "from-tag" in self.held:
                return _kept(Field("sip.from.tag"), message.from_tag)
            case "to" if "to-tag" in self.held:
                return _kept(Field("sip.to.tag"), message.to_tag)
            case "via" if "branch" in self.held:
                return _kept(TOP_BRANCH, message.via_branch)
            case _:
                return frozenset(), frozenset()

    def near(self, question: Question) -> Question | None:
        """Return the question for an answer near what the message has; None where it has several values already."""
        carrier, read = question.carrier, question.read
        if not self.is_kept or self.draft.values(carrier.name) > 1:
            return None
        around = enclosing(read_regex(carrier.regex, fold=False))
        free = read.union(*(around.get(name, frozenset()) for name in read))
        kept: dict[str, bytes] = {}
        for name, groups in carrier.groups.items():
            group = groups[0]
            if len(groups) > 1 or group.name in free or group.name == LINE or group.reading == "payload":
                continue
            if name not in FIELDS or name == "sdp" or len(places(Field(name))) > 1:
                continue
            values = FIELDS[name].read(self.facts)
            if len(values) > 1 and carrier is not SDP:
                return None
            if len(set(values)) == 1:
                kept[group.name] = text_bytes(str(values[0]))
        return Question(carrier, question.some, question.none, frozenset(kept.items()), carrier is not SDP)

    def written(self, draft: Draft, carrier: Carrier, text: bytes) -> Draft:
        """Return a draft with the text that was found for a carrier."""
        values: Sequence[bytes] = text.split(b"\n")[:-1]
        if carrier in (REQUEST_LINE, STATUS_LINE):
            return replace(draft, start_line=values[0])
        return draft.with_values(carrier.name, carrier.spelling, values)


@lru_cache(maxsize=1024)
def _kept(field: Field, value: str | None) -> tuple[frozenset[Bound], frozenset[Bound]]:
    groups = places(field)[0].groups
    if value is None:
        return frozenset(), frozenset((Bound(Exists(field), groups),))
    return frozenset((Bound(Comparison(field, "==", value), groups),)), frozenset()
