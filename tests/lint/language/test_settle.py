import random
import time

import pytest

from firewall.lint.language.jury import facts_of, holds_of_message
from firewall.lint.language.settle import Conflict, Literal, Settled, TooHard, satisfiable, settle
from firewall.ruleset.expression import Comparison, Exists, Field, Membership, SetMembers
from firewall.ruleset.fields import FIELDS
from tests.lint.language.conditions import literals
from tests.lint.language.messages import ANSWER, TEMPLATE, RandomMessage, random_literals

_SEEDS = range(40)
_QUESTIONS_PER_SEED = 8
_HELD_VALUES = {
    "sip.Method": "INVITE",
    "sip.Call-ID": "probe-0@192.0.2.10",
    "sip.CSeq": "1 INVITE",
    "sip.CSeq.method": "INVITE",
    "sip.CSeq.seq": 1,
    "sip.from.tag": "f1",
}
"""What is of the dialog stays; every other field can be given a value."""
_EXAMPLES: dict[str, str | int] = {
    "sip.r-uri": "sip:911@psap.example",
    "sip.Request-Line": "INVITE tel:911 SIP/2.0",
    "sip.Content-Type": "application/sdp;x=y",
    "sip.Via": "SIP/2.0/TCP p.example;branch=z9hG4bK-1",
    "sip.Via.transport": "SCTP",
    "sip.contact.parameter": "expires=60",
    "sdp.version": "0",
    "sdp.session_name": " ",
    "sdp.session_info": " a ",
    "sdp.media_attr": " tool: x ",
    "sdp.owner": "- 1 1 IN IP4 192.0.2.1",
    "sdp.connection_info": "IN IP6 2001:db8::1",
    "sdp.connection_info.address_type": "IP6",
    "sdp.bandwidth": "AS:64",
    "sdp.time": "1 2",
    "sdp.media": "video 5000 RTP/AVP 31",
    "sdp.media.format": "ITU-T G.729",
    "sdp.media.port": 9,
    "sip.Content-Length": 700,
    "sip.Via.ttl": "7",
    "sip.Via.rport": "5070",
    "sip.Max-Forwards": 7,
}
_ABOUT_RESPONSES = {"sip.Status-Code": 486, "sip.Status-Line": "SIP/2.0 486 Busy Here"}
_ASKED = [
    name
    for name, spec in FIELDS.items()
    if name.startswith(("sip.", "sdp."))
    and spec.type in ("text", "number")
    and name not in ("sip.anomaly", "sip.header", "sip.msg_hdr", "sip.to.tag", "sip.tag")
]


def _example(name: str) -> str | int:
    if name in _HELD_VALUES:
        return _HELD_VALUES[name]
    if name in _EXAMPLES | _ABOUT_RESPONSES:
        return (_EXAMPLES | _ABOUT_RESPONSES)[name]
    if FIELDS[name].type == "number":
        return 4000
    last = name.rpartition(".")[2]
    uris = {
        "addr": "sip:a@b.example",
        "uri": "sip:a@b.example",
        "port": "5070",
        "param": "user=phone",
        "host": "h.example",
    }
    if name in ("sip.From", "sip.To", "sip.Contact", "sip.Route", "sip.Record-Route", "sip.Service-Route", "sip.Path"):
        return '"A, B" <sips:a@b.example:5061;lr>' + {"sip.From": ";tag=f1"}.get(name, "")
    if name in ("sip.P-Asserted-Identity", "sip.P-Preferred-Identity"):
        return "<tel:+1911>, <sip:a@b.example>"
    if last == "info" and "display" in name:
        return '"A b"'
    if name.startswith("sip.auth.") or "uthori" in name or "uthentic" in name:
        return {"scheme": "Digest", "uri": '"sip:x"'}.get(
            last, '"q,r"' if name.startswith("sip.auth.") else "Digest realm=x"
        )
    return uris.get(last, "a-b.c")


def _holds(payload: bytes, literal: Literal) -> bool:
    facts = facts_of(payload)
    assert facts is not None
    return holds_of_message(literal.condition, facts) is literal.holds


def test_every_field_can_be_given_a_value_and_be_kept_from_it() -> None:
    for name in _ASKED:
        template = ANSWER if name in _ABOUT_RESPONSES else TEMPLATE
        equal = Comparison(Field(name), "==", _example(name))
        given = settle(template, [Literal(equal, True)])
        assert isinstance(given, Settled), (name, given)
        kept = settle(given.payload, [Literal(equal, False)])
        if name in _HELD_VALUES or name == "sdp.version":
            assert isinstance(kept, Conflict | Settled), name
        else:
            assert isinstance(kept, Settled), (name, kept)
            assert _holds(kept.payload, Literal(equal, False)), name


def test_every_field_that_a_message_can_do_without_can_be_absent() -> None:
    mandatory = {
        *("sip.Request-Line", "sip.Method", "sip.r-uri", "sip.Call-ID", "sip.From", "sip.from.addr", "sip.from.tag"),
        *("sip.To", "sip.to.addr", "sip.CSeq", "sip.CSeq.seq", "sip.CSeq.method"),
        *("sip.Via", "sip.Via.transport", "sip.Via.sent-by.address", "sip.Via.branch"),
    }
    for name in _ASKED:
        absent = settle(TEMPLATE, [Literal(Exists(Field(name)), False)])
        assert isinstance(absent, Conflict if name in mandatory else Settled), (name, absent)


@pytest.mark.parametrize("seed", _SEEDS)
def test_what_holds_of_some_message_is_never_called_a_conflict(seed: int) -> None:
    """Conditions with their truth for a random message can be met: by that message. Settled ones are read back."""
    rnd = random.Random(seed)
    for _ in range(_QUESTIONS_PER_SEED):
        is_answer = rnd.random() < 0.2
        writer = RandomMessage(rnd)
        payload = writer.response() if is_answer else writer.request()
        asked = random_literals(rnd, payload, rnd.randint(1, 10))
        answer = settle(ANSWER if is_answer else TEMPLATE, asked)
        assert not isinstance(answer, Conflict), (seed, answer)
        if isinstance(answer, Settled):
            assert all(_holds(answer.payload, literal) for literal in asked)


def test_few_questions_are_too_hard() -> None:
    rnd = random.Random(7)
    answers = []
    for _ in range(60):
        payload = RandomMessage(rnd).request()
        answers.append(settle(TEMPLATE, random_literals(rnd, payload, 4)))
    assert sum(isinstance(answer, TooHard) for answer in answers) <= 3


@pytest.mark.parametrize(
    "texts",
    [
        ('sip.from.user == "a"', 'sip.from.user == "b"'),
        ('sip.from.user contains "ab"', 'not sip.from.user matches "a"'),
        ("len(sip.from.user) < 3", 'sip.from.user contains "abcd"'),
        ('sip.from.user == "a@b"',),
        ("sip.r-uri.user", 'sip.r-uri matches "^urn:"'),
        ("sip.r-uri.host", 'sip.r-uri matches "^tel:"'),
        ('sip.Method == "BYE"',),
        ('sip.Call-ID contains "other"',),
        ('sip.from.tag == "other"',),
        ("not sip.From",),
        ("sip.Max-Forwards > 9", "sip.Max-Forwards < 10"),
        ("sip.Max-Forwards > 255",),
        ("sip.Status-Code == 200",),
        ('sip.User-Agent == "ab"', 'not sip.User-Agent contains "a"'),
        ('sip.User-Agent matches "^a+$"', 'not sip.User-Agent matches r"^a"'),
        ('sip.header["x-mark"] == "1"', 'not sip.header["X-Mark"]'),
        ('sip.Subject == "1"', 'not sip.header["s"] == "1"'),
        ('lower(sip.User-Agent) == "Abc"',),
        ('sip.Supported[0:2] == "ab"', 'not sip.Supported matches "^a"'),
        ('sip.User-Agent contains "scan"', 'not sip contains "sca"'),
        ('not sip contains "SIP/2.0"',),
        ("sdp.media.port == 9", "sip.Content-Length < 20"),
        ("sdp", 'sip.Content-Type == "text/plain"'),
        ('sdp.media.media == "audio"', "not sdp"),
        ("count(sip.Via) < 1",),
        ("count(sip.From) > 1",),
        ('not sip.Via.branch == "z9hG4bK-1"',),
        ('sip.contact.user == "a"', 'not sip.Contact contains "a"'),
        ('sip.from.port == "99999"',),
        ('sip.to.addr matches "^urn:"', "count(sip.to.user) > 0"),
    ],
)
def test_contradictions_are_found_and_each_part_of_their_core_is_needed(texts: tuple[str, ...]) -> None:
    asked = literals(*texts)
    answer = settle(TEMPLATE, [*asked, *literals('sip.Organization == "x"', "not sip.Event")])
    assert isinstance(answer, Conflict), answer
    assert set(answer.core) <= set(asked)
    for left_out in answer.core:
        rest = [literal for literal in answer.core if literal != left_out]
        assert isinstance(settle(TEMPLATE, rest), Settled), left_out


def test_a_message_of_which_all_holds_is_left_as_it_is() -> None:
    assert settle(TEMPLATE, literals('sip.Method == "INVITE"', "sdp", "not sip.Subject")) == Settled(TEMPLATE)


def test_only_what_must_change_does() -> None:
    answer = settle(TEMPLATE, literals('sip.from.user == "911"', 'sip.User-Agent contains "scanner"'))
    assert isinstance(answer, Settled)
    before, after = TEMPLATE.split(b"\r\n"), answer.payload.split(b"\r\n")
    assert [line for line in after if line not in before] == [
        b"From: <sip:911@192.0.2.10>;tag=f1",
        b"User-Agent: scanner",
    ]


def test_what_is_held_stays_and_a_condition_against_it_is_a_conflict_alone() -> None:
    asked = literals('sip.r-uri.user == "911"', 'sip.User-Agent == "x"')
    assert settle(TEMPLATE, asked, frozenset({"r-uri"})) == Conflict((asked[0],))
    assert settle(TEMPLATE, asked, frozenset({"User-Agent"})) == Conflict((asked[1],))


def test_conditions_on_a_held_part_are_settled_elsewhere_where_they_can_be() -> None:
    answer = settle(TEMPLATE, literals('sip.display.info contains "Bob"'), frozenset({"From", "To"}))
    assert isinstance(answer, Settled)
    assert b"From: <sip:+16175550142@192.0.2.10>;tag=f1" in answer.payload
    assert b"Contact: Bob" in answer.payload


def test_a_constraint_on_the_target_combines_with_the_rules_own() -> None:
    emergency = 'sip.r-uri matches r"^urn:service:sos(\\.[a-z0-9-]+)*$"'
    answer = settle(TEMPLATE, literals(emergency, 'sip.r-uri contains "fire"', 'not sip.r-uri contains "sos.fire"'))
    assert isinstance(answer, Settled)
    assert answer.payload.lower().startswith(b"invite urn:service:sos.")
    contradiction = literals(emergency, 'sip.r-uri contains "911@"')
    answer = settle(TEMPLATE, contradiction)
    assert isinstance(answer, Conflict)
    assert set(answer.core) == set(contradiction)


def test_the_content_length_does_not_lie() -> None:
    for condition in ("sip.Content-Length > 1300", "sip.Content-Length == 3", "sip.Content-Length == 0"):
        answer = settle(TEMPLATE, literals(condition))
        assert isinstance(answer, Settled)
        head, _, body = answer.payload.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head


def test_a_field_that_is_not_of_a_sip_message_is_not_answered() -> None:
    answer = settle(TEMPLATE, literals('zone.src == "carrier"'))
    assert isinstance(answer, TooHard)
    assert "zone.src" in answer.reason


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (('sip.Method == "FOO"', 'sip.from.tag == "x"', "not sip.to.tag"), True),
        (("sip.Status-Code == 486", 'sip.CSeq.method == "BYE"'), True),
        (('sip.Method == "BYE"', "sip.Status-Code == 200"), False),
        (('sip.Method == "a b"',), False),
        (('sip.Via.branch == "b"', "count(sip.Via) == 1"), True),
        (('zone.src == "a"',), None),
    ],
)
def test_whether_any_message_at_all_can_meet_conditions(texts: tuple[str, ...], expected: bool | None) -> None:
    assert satisfiable(literals(*texts)) is expected


def test_ten_thousand_values_that_are_not_wanted_cost_no_search() -> None:
    asked = [Literal(Comparison(Field("sip.from.user"), "==", f"+1617555{n:05}"), False) for n in range(10_000)]
    asked += literals('sip.from.user contains "1617555"', 'sip.User-Agent contains "zz"')
    settle(TEMPLATE, asked)
    begin = time.process_time()
    assert isinstance(settle(TEMPLATE, asked), Settled)
    assert time.process_time() - begin < 0.5


def test_a_set_of_ten_thousand_names_is_searched() -> None:
    scanners = SetMembers("scanners", frozenset(f"scanner{n:05}" for n in range(10_000)))
    among = Membership(Field("sip.User-Agent"), (scanners,))
    answer = settle(TEMPLATE, [Literal(among, True), *literals('sip.User-Agent matches "77$"')])
    assert isinstance(answer, Settled)
    every = settle(TEMPLATE, [Literal(among, True), *literals('not sip.User-Agent contains "0"')])
    assert isinstance(every, Conflict)


def test_no_message_is_without_headers() -> None:
    (nothing,) = literals("not sip.msg_hdr")
    assert settle(TEMPLATE, [nothing]) == Conflict((nothing,))


def test_beside_an_ipv6_address_the_port_of_a_via_changes_too() -> None:
    template = TEMPLATE.replace(b"UDP 192.0.2.10:5060", b"UDP [2001:db8:1::10]:5060")
    assert template != TEMPLATE
    port = Literal(Comparison(Field("sip.Via.sent-by.port"), "==", 5061), True)
    settled = settle(template, [port])
    assert isinstance(settled, Settled)
    facts = facts_of(settled.payload)
    assert facts is not None
    assert holds_of_message(port.condition, facts)
