"""Any message at all: what holds between the facts of a message, whoever sends it and in whatever state.

The emergency proof asks about calls, whose own facts (method, dialog state, why it is an emergency) its contexts give.
Here they are free, within what the engine can ever hand to a rule. All of it stands behind one assumption, so that
the proof's questions do not meet it; each fact is described when a question first needs it.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import get_args

from firewall.engine.reasons import REASONS
from firewall.lint.language.automaton import holds_of
from firewall.lint.language.bounds import UnmodelledError
from firewall.lint.language.count import count_conflict
from firewall.lint.language.part import WHOLES, of_part
from firewall.lint.language.predicate import automaton, counts, demands
from firewall.lint.language.value import Said, conflict
from firewall.lint.proof.atom import normal, subject
from firewall.lint.proof.encoding import Encoding
from firewall.lint.proof.formula import Model
from firewall.net.datagram import Datagram
from firewall.ruleset.emergency import recogniser
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.expression import (
    Atom,
    Comparison,
    Condition,
    Exists,
    Field,
    Matches,
    Membership,
    atoms,
    base_field,
)
from firewall.ruleset.facts import DialogState, EmergencyClass, EmergencyMark, Facts
from firewall.ruleset.fields import FIELDS
from firewall.ruleset.literal import text_bytes
from firewall.ruleset.policy import EmergencyPolicy, Policy
from firewall.sip.headers import canonical_name
from firewall.sip.message import parse_message

MAX_CONFLICTS = 80
"""Models of one question that may turn out to be no message, before it is left open."""
SERVICE_URN = r"^urn:(service:(test\.)?sos(\.[a-z0-9-]*)*|(nena|emergency):service:[a-z0-9._-]+)$"
"""The service URNs that are an emergency, in lower case (RFC 5031 §4.2, NENA-STA-010.3 §2.1)."""

_START_LINE = frozenset({"sip.Method", "sip.Request-Line", "sip.Status-Line", "sip.Status-Code", "sip.r-uri"})
_SINGLE = _START_LINE | {"sip.r-uri.user", "sip.r-uri.host", "sip.r-uri.port", "sip.CSeq.method", "sip.CSeq.seq"}
_SINGLE |= {"emergency.service"}
"""Fields with at most one value in every message; the engine reads a second From or Via, too."""
_MULTIPLE_READ = frozenset({"sip", "sip.msg_hdr"})
_ANY_DATAGRAM = Datagram("192.0.2.1", 5060, "192.0.2.2", 5060, b"")
_METHOD, _REQUEST_URI, _USER = Field("sip.Method"), Field("sip.r-uri"), Field("sip.r-uri.user")
_SIP_URI = Matches(_REQUEST_URI, "^sips?:")
_SERVICE = Field("emergency.service")
_SERVICES = Matches(_SERVICE, SERVICE_URN)
_CAPITALS = Matches(_SERVICE, "(?-i:[A-Z])")


class World:
    """Asks one policy's encoding about any message. What it learns of impossible messages stays."""

    def __init__(self, encoding: Encoding, policy: Policy) -> None:
        self._encoding = encoding
        self._formula = encoding.formula
        self._policy = policy
        self._view = encoding.view(policy)
        formula = self._formula
        self._assumed = formula.new()
        self._is_message, self._is_request = formula.new(), formula.new()
        self._is_malformed, self._is_negotiated = formula.new(), formula.new()
        self._marks: dict[EmergencyClass | None, int] = {each: formula.new() for each in (None, *_CLASSES)}
        formula.exactly_one(list(self._marks.values()))
        self._dialogs = {each: formula.new() for each in _DIALOG_STATES}
        formula.exactly_one(list(self._dialogs.values()))
        self._is_response = formula.all_of([self._is_message, -self._is_request])
        self._demand(-self._is_request, self._is_message)
        self._demand(-self._is_malformed, -self._is_message)
        self._reasons: dict[str, int] | None = None
        self._anomalies: dict[str, int] | None = None
        self._known: dict[Condition, tuple[Atom, ...]] = {}
        self._described: dict[Atom, bool] = {}
        self._texts: dict[Atom, int] = {}
        self._request_uri_read = False
        formula.prefer([-literal for literal in (*encoding.text.values(), *encoding.own.values())])

    def literal(self, condition: Condition | None) -> int:
        """Return the literal that a condition holds, all facts it reads described."""
        literal = self._encoding.literal(condition, self._view)
        self._read(condition)
        return literal

    def ask(self, goal: Sequence[int], conditions: Iterable[Condition | None]) -> Model | None:
        """Return a model of the goal that no known thing speaks against; None proves that no message meets it.

        ``conditions`` are those that the goal is about: of other texts no proof is asked.
        """
        texts = list(dict.fromkeys(atom for condition in conditions for atom in self._read(condition)))
        if self._request_uri_read:
            texts += [atom for atom in self._emergency_atoms() if atom in self._texts and atom not in texts]
        assumptions = [self._assumed, *goal]
        model = None
        for _ in range(MAX_CONFLICTS):
            model = self._formula.solve(assumptions)
            if model is None:
                return None
            cores = list(self._conflicts(texts, model))
            if not cores:
                return model
            for core in cores:
                self._demand(*(-literal for literal in core))
        return model

    def is_met(self, condition: Condition | None) -> bool:
        """Tell whether, as far as is known, some message meets a condition."""
        return self.ask([self.literal(condition)], [condition]) is not None

    def _demand(self, *clause: int) -> None:
        self._formula.add([-self._assumed, *clause])

    def _read(self, condition: Condition | None) -> tuple[Atom, ...]:
        """Describe what a condition reads; return its atoms about texts."""
        if condition is None:
            return ()
        known = self._known.get(condition)
        if known is None:
            found = dict.fromkeys(atoms(normal(condition)))
            known = self._known[condition] = tuple(atom for atom in found if self._is_text(atom))
        return known

    def _is_text(self, atom: Atom) -> bool:
        known = self._described.get(atom)
        if known is None:
            known = self._described[atom] = subject(atom) in ("text", "own") and self._describe(atom)
        return known

    def _describe(self, atom: Atom) -> bool:
        """Describe an atom; return whether it is about a text, so that models must be looked at."""
        literal = self._encoding.literal(atom, self._view)
        field = base_field(atom.operand)
        match field.name:
            case "emergency" | "emergency.class":
                for emergency_class, chosen in self._marks.items():
                    mark = EmergencyMark(emergency_class, "", ()) if emergency_class is not None else None
                    self._tie(chosen, literal, atom, Facts(_ANY_DATAGRAM, emergency=mark))
                self._describe_emergency_targets()
            case "dialog.state":
                for state, chosen in self._dialogs.items():
                    self._tie(chosen, literal, atom, Facts(_ANY_DATAGRAM, dialog_state=state))
            case "malformed":
                self._tie(self._is_malformed, literal, atom, Facts(_ANY_DATAGRAM, malformed="not_sip"))
                self._tie(-self._is_malformed, literal, atom, Facts(_ANY_DATAGRAM))
            case "media.negotiated":
                for is_negotiated, chosen in ((True, self._is_negotiated), (False, -self._is_negotiated)):
                    self._tie(chosen, literal, atom, Facts(_ANY_DATAGRAM, media_negotiated=is_negotiated))
            case "malformed.reason":
                self._describe_reason(atom, literal)
            case "sip.anomaly":
                return not self._is_described_anomaly(atom, literal)
            case "frame":
                self._tie(self._assumed, literal, atom, Facts(_ANY_DATAGRAM))
            case "sip" if isinstance(atom, Exists):
                self._demand(-literal, self._is_message)
                self._demand(literal, -self._is_message)
            case _:
                self._describe_text(field, literal)
                self._texts[atom] = literal
                self._request_uri_read |= field.name.startswith("sip.r-uri")
                return True
        return False

    def _describe_text(self, field: Field, literal: int) -> None:
        """A text that has a value stands in a message of the right kind: no condition holds of an absent field."""
        name = field.name
        if name.startswith(("sip", "sdp")):
            self._demand(-literal, self._is_message)
        if name == "sip.Method" or name.startswith(("sip.r-uri", "sip.Request-Line")):
            self._demand(-literal, self._is_request)
        if name.startswith("sip.Status-"):
            self._demand(-literal, self._is_response)
        if name == "emergency.service":
            self._demand(-literal, -self._marks[None])
        if name == "rtp" or name.startswith("rtp."):
            self._demand(-literal, self._is_negotiated)
            self._demand(-literal, -self._is_message)

    def _kind_with(self, field_name: str) -> int | None:
        """Return the literal of the kind of message that always has a field, None where there is no such kind."""
        if field_name in ("sip.Method", "sip.Request-Line", "sip.r-uri"):
            return self._is_request
        return self._is_response if field_name.startswith("sip.Status-") else None

    def _tie(self, chosen: int, literal: int, atom: Atom, facts: Facts) -> None:
        """Where ``chosen`` holds the atom is as true as it is of these facts."""
        self._demand(-chosen, literal if compile_condition(atom)(facts) else -literal)

    def _describe_reason(self, atom: Atom, literal: int) -> None:
        if self._reasons is None:
            codes = [code for code, reason in REASONS.items() if reason.kind == "malformed"]
            self._reasons = {code: self._formula.new() for code in codes}
            self._formula.exactly_one(list(self._reasons.values()))
        self._demand(-literal, self._is_malformed)
        for code, chosen in self._reasons.items():
            holds = compile_condition(atom)(Facts(_ANY_DATAGRAM, malformed=code))
            self._demand(-self._is_malformed, -chosen, literal if holds else -literal)

    def _is_described_anomaly(self, atom: Atom, literal: int) -> bool:
        """A message has any of the known anomalies, each or not."""
        if self._anomalies is None:
            codes = [code for code, reason in REASONS.items() if reason.kind == "anomaly"]
            self._anomalies = {code: self._formula.new() for code in codes}
            for there in self._anomalies.values():
                self._demand(-there, self._is_message)
        self._demand(-literal, self._is_message)
        if counts(atom):
            return True
        formula, found = self._formula, self._anomalies

        def any_with(each: Atom) -> int:
            machine = automaton(each)
            return formula.any_of(there for code, there in found.items() if holds_of(machine, text_bytes(code)))

        try:
            ways = [
                formula.all_of([*(any_with(each) for each in way.some), *(-any_with(each) for each in way.none)])
                for way in demands(atom, holds=True)
            ]
        except UnmodelledError:
            return True
        exact = formula.any_of(ways)
        self._demand(-literal, exact)
        self._demand(literal, -exact)
        return True

    def _describe_emergency_targets(self) -> None:
        """A request for an emergency service is an emergency, whatever else it says; only REGISTER asks for none."""
        was_read = self._request_uri_read
        for atom in self._emergency_atoms():
            self._is_text(atom)
        self._request_uri_read = was_read
        *targets, register = (self._texts[atom] for atom in self._emergency_atoms())
        for literal in targets:
            self._demand(-literal, register, -self._marks[None])

    def _emergency_atoms(self) -> Iterator[Atom]:
        """Yield what makes a request an emergency, by its URI alone; at the end the method of which that is not so."""
        yield Matches(_REQUEST_URI, SERVICE_URN)
        users = _emergency_users(self._policy.emergency)
        if users:
            yield Membership(_USER, users)
        yield Comparison(_METHOD, "==", "REGISTER")

    def _conflicts(self, texts: Sequence[Atom], model: Model) -> Iterator[list[int]]:
        """Yield literals of a model that no message can have together."""
        fields: dict[Field, list[Said]] = {}
        counted: dict[Field, list[Said]] = {}
        for atom in texts:
            literal = self._texts.get(atom)
            if literal is None:
                continue
            holds = model.holds(literal)
            said = Said(atom, holds, literal if holds else -literal)
            field = _as_named(base_field(atom.operand))
            fields.setdefault(field, [])
            (counted if counts(atom) else fields).setdefault(field, []).append(said)
            if counts(atom) and holds:
                fields[field].append(Said(Exists(field), True, literal))
        parts = [
            each for part in ("user", "host", "port", "param") for each in fields.get(Field(f"sip.r-uri.{part}"), ())
        ]
        split = next((each for each in parts if each.holds), None)
        if split is not None and _REQUEST_URI in fields:
            fields[_REQUEST_URI].append(Said(_SIP_URI, True, split.literal))
        _tell_wholes(fields)
        for field, every in fields.items():
            kind = self._kind_with(field.name)
            if kind is not None and model.holds(kind):
                every.append(Said(Exists(field), True, kind))
            if field.name in _MULTIPLE_READ:
                continue
            positive = next((each for each in every if each.holds), None)
            if positive is None:
                continue
            is_single = field.name in _SINGLE or field.name.startswith("rtp")
            together = [*every, *_always_said(field, positive)]
            for found in (
                conflict(together, is_single=is_single),
                count_conflict(counted.get(field, ()), positive.literal, is_single=is_single),
            ):
                if found is not None:
                    yield list(dict.fromkeys(found))


def _tell_wholes(fields: dict[Field, list[Said]]) -> None:
    """Tell each part of a field what the whole does not contain, and the whole that it is there when a part is."""
    for part, said in fields.items():
        for name in WHOLES.get(part.name, ()):
            whole = fields.get(Field(name))
            if whole is None:
                continue
            for each in whole:
                inherited = None if each.holds else of_part(each.atom, part)
                if inherited is not None:
                    said.append(Said(inherited, False, each.literal))
            positive = next((each for each in said if each.holds), None)
            if positive is not None:
                whole.append(Said(Exists(Field(name)), True, positive.literal))


_CLASSES: tuple[EmergencyClass, ...] = get_args(EmergencyClass)
_DIALOG_STATES: tuple[DialogState, ...] = get_args(DialogState)


def _always_said(field: Field, positive: Said) -> list[Said]:
    """Return what is true of every value of a field; it is no cause of a conflict by itself."""
    if field == _SERVICE:
        return [Said(_SERVICES, True, positive.literal), Said(_CAPITALS, False, positive.literal)]
    spec = FIELDS.get(field.name)
    if spec is not None and spec.type == "number" and field.name in _SINGLE:
        return [Said(Comparison(field, ">=", 0), True, positive.literal)]
    if spec is not None and spec.maximum is not None and field.name.startswith("rtp."):
        return [Said(Comparison(field, ">", spec.maximum), False, positive.literal)]
    return []


def _as_named(field: Field) -> Field:
    """Return the field that Wireshark has for a header, where it has one."""
    if field.header is None:
        return field
    header = canonical_name(field.header)
    named = _BY_HEADER.get(header)
    return Field(named) if named is not None else Field(field.name, header)


_BY_HEADER = {
    canonical_name(spec.description.removeprefix("Header ").partition(",")[0]): name
    for name, spec in FIELDS.items()
    if spec.description.startswith("Header ") and spec.type == "text"
}


@lru_cache(maxsize=64)
def _emergency_users(definition: EmergencyPolicy) -> tuple[str, ...]:
    """Return dialled numbers that the one definition takes for an emergency in a SIP URI."""
    recognise = recogniser(definition)
    found = []
    for number in (*definition.numbers, *definition.test_numbers):
        for prefix in ("", *definition.dial_prefixes):
            message = parse_message(f"INVITE sip:{prefix}{number}@any.example SIP/2.0\r\n\r\n".encode())
            if recognise(message) is not None:
                found.append(prefix + number)
    return tuple(dict.fromkeys(found))
