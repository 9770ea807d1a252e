"""A policy file is a policy, or one sentence says why not."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.errors import OperatorError, PolicyError
from firewall.ruleset.load import load_policy
from firewall.ruleset.policy import (
    DEFAULT_FLOWS,
    EmergencyPolicy,
    ExceptionPolicies,
    NetworkSet,
    Policy,
    StringSet,
    Surge,
)
from firewall.ruleset.schedule import UTC, TimeZone

ROOT = Path(__file__).parents[2]
FILES = {
    "agents.txt": b"# scanners\n\nfriendly-scanner   # SIPVicious\n  sip#cli\n",
    "networks.txt": b"192.0.2.0/24\n2001:db8::/32\n",
    "broken.txt": b"ok\n\xff\n",
    "zero.txt": b"ok\n\0\n",
}
ZONES = "zones: {carrier: {networks: [192.0.2.0/24]}, psap: {interfaces: [f1]}}\n"
MINIMAL = "policy: p\nrules: []\ndefault: drop\n"


class Files:
    """Sources out of a dictionary."""

    def read(self, path: str) -> bytes:
        try:
            return FILES[path]
        except KeyError:
            raise FileNotFoundError(2, "No such file or directory", path) from None

    def timezone(self, name: str) -> TimeZone:
        if name != "UTC":
            raise KeyError(name)
        return UTC


def load(text: str | bytes) -> Policy:
    return load_policy(text if isinstance(text, bytes) else text.encode(), file="p.yaml", sources=Files())


def refusal(text: str | bytes) -> str:
    with pytest.raises(PolicyError) as caught:
        load(text)
    return str(caught.value).removeprefix("p.yaml:")


def test_the_shortest_policy_gets_the_defaults() -> None:
    policy = load(MINIMAL)
    assert policy == Policy(
        name="p",
        file="p.yaml",
        sha256=hashlib.sha256(MINIMAL.encode()).hexdigest(),
        zones=(),
        sets=(),
        emergency=EmergencyPolicy(numbers=("911", "112"), flows=DEFAULT_FLOWS, guard="enforce"),
        exceptions=ExceptionPolicies("drop", "allow", "allow", "allow"),
        rules=(),
        default="drop",
        default_place=policy.default_place,
        signalling_ports=frozenset({5060}),
    )
    assert str(policy.default_place) == "p.yaml:3:1"


def test_without_an_emergency_section_every_zone_is_from_and_to() -> None:
    assert load(ZONES + MINIMAL).emergency.from_zones == ("carrier", "psap")
    assert load(ZONES + MINIMAL + "emergency: {to: [psap]}\n").emergency.from_zones == ("carrier", "psap")


def test_every_part_of_an_emergency_section_is_read() -> None:
    policy = load(
        ZONES + MINIMAL + "emergency:\n  numbers: [911, '0112', \"*#7\"]\n  test_numbers: [933]\n"
        "  dial_prefixes: [9, +1]\n  from: [carrier]\n  to: [psap, psap]\n  flows: [voice, transfer]\n"
        "  surge: {calls_per_second: 40, per_source: 25}\n  guard: alert\n"
    )
    assert policy.emergency == EmergencyPolicy(
        ("911", "0112", "*#7"),
        ("933",),
        ("9", "+1"),
        ("carrier",),
        ("psap",),
        ("voice", "transfer"),
        Surge(40, 25),
        "alert",
    )


def test_sets_are_strings_or_networks() -> None:
    agents, blocked, words = load(
        MINIMAL + "sets:\n  agents: {file: agents.txt}\n  blocked: {networks: [192.0.2.128/25, 192.0.2.0/25]}\n"
        "  words: {values: [911, yes, 'a b']}\n"
    ).sets
    assert isinstance(agents, StringSet)
    assert agents.values == {"friendly-scanner", "sip#cli"}
    assert [(text, str(place)) for text, place in agents.lines] == [
        ("friendly-scanner", "agents.txt:3:1"),
        ("sip#cli", "agents.txt:4:3"),
    ]
    assert isinstance(blocked, NetworkSet)
    assert [str(network) for network in blocked.networks] == ["192.0.2.0/24"]
    assert isinstance(words, StringSet)
    assert words.values == {"911", "yes", "a b"}


def test_signalling_ports_and_exceptions_are_read() -> None:
    policy = load(MINIMAL + "signalling: {ports: [5060, 5070]}\nexceptions: {malformed: allow, table_full: drop}\n")
    assert policy.signalling_ports == {5060, 5070}
    assert policy.exceptions == ExceptionPolicies("allow", "drop", "allow", "allow")


@pytest.mark.parametrize(
    "name", ["", "eth*", 'e"0', "a/b", "two words", "x" * 16, "é" * 8, "}\n", "eth0:1", "..", "\a"]
)
def test_what_cannot_be_an_interface_or_is_several_is_refused(name: str) -> None:
    said = refusal(f"policy: p\nzones: {{a: {{interfaces: [{json.dumps(name)}]}}}}\nrules: []\ndefault: drop\n")
    assert said.startswith("2:26: error: ")
    assert "cannot be the name of an interface; name each as ip link does" in said or not name


@pytest.mark.parametrize(
    "text",
    [
        "rules: []\nzones: {a: {networks: [%s]}}",
        "rules: [{name: a, action: drop, when: %s}]",
        "rules: [{name: a, action: drop, when: 'udp.port == %s'}]",
        "rules: [{name: a, action: drop, when: 'sip.Subject matches %s'}]",
        "sets: {s: {file: s.txt}}\nrules: [{name: a, action: drop, when: net.src in $s}]",
    ],
)
@pytest.mark.parametrize("odd", ["\033[2J\u2028\n(", "x(" * 30_000])
def test_what_is_written_neither_reaches_the_terminal_raw_nor_fills_it(
    text: str, odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FILES, "s.txt", odd.replace("\n", "").encode())
    said = refusal(f"policy: p\ndefault: drop\n{text.replace('%s', json.dumps(odd))}\n")
    assert said.isprintable()
    assert len(said) < 400


def refused() -> list[tuple[str, str]]:
    """Read the pairs of ``refused_policies.txt``: what stands beside the shortest policy, and the error it gets."""
    cases = (Path(__file__).with_name("refused_policies.txt")).read_text().split("\n====\n")
    return [(case.partition("\n----\n")[0], case.partition("\n----\n")[2].strip()) for case in cases]


@pytest.mark.parametrize(("section", "error"), refused())
def test_a_mistake_is_one_sentence_with_its_place_and_the_next_step(section: str, error: str) -> None:
    assert refusal(f"policy: p\ndefault: drop\n{ZONES}{section}\n") == error


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("rules: []\ndefault: drop\n", '1:1: error: the policy has no "policy"; add policy:'),
        ("policy: p\ndefault: drop\n", '1:1: error: the policy has no "rules"; add rules:'),
        ("policy: p\nrules: []\n", '1:1: error: the policy has no "default"; add default:'),
        (
            MINIMAL + "zones:\n  psap:\n    networks:\n    # - 192.0.2.0/24\n    interfaces: [f1]\n",
            "6:14: error: networks is empty; name them, or leave it out for any address",
        ),
        (
            MINIMAL + "zones: {psap: {interfaces: }}\n",
            "4:28: error: interfaces is empty; name them, or leave it out for any interface",
        ),
        ("- a\n", "1:1: error: the policy must be a mapping of keys, not a list; write key: value"),
        ("hello\n", '1:1: error: the policy must be a mapping of keys, not "hello"; write key: value'),
        (
            "policy: 'a b'\nrules: []\ndefault: drop",
            '1:9: error: "a b" cannot be a name; use letters, digits, - _ and ., 128 at most, no - or . first',
        ),
        (
            b"\x89PNG\r\n\x1a\n\0\0",
            "1:1: error: not a text file: byte 0x89 is no UTF-8; a policy is a YAML file in UTF-8",
        ),
        (b"", " error: the policy is empty; begin with rules/examples/minimal.yaml"),
        (b"#" * 10_000_000, " error: the file is larger than a policy may be, 4 MiB; put long lists into set files"),
    ],
)
def test_a_file_that_is_no_policy_is_refused(text: str | bytes, error: str) -> None:
    assert refusal(text) == error


def test_a_list_file_without_text_is_named_with_its_line() -> None:
    with pytest.raises(PolicyError) as caught:
        load(MINIMAL + "sets: {a: {file: broken.txt}}")
    assert (
        str(caught.value)
        == "broken.txt:2:1: error: not a text file: byte 0xff is no UTF-8; a list is a text file in UTF-8"
    )
    with pytest.raises(
        PolicyError, match=r"^zero.txt:2:1: error: not a text file: it holds the control character U.0000"
    ):
        load(MINIMAL + "sets: {a: {file: zero.txt}}")


def outcome(data: bytes) -> Policy | OperatorError:
    try:
        return load(data)
    except OperatorError as error:
        return error


def is_policy_or_one_line(result: Policy | OperatorError) -> bool:
    return isinstance(result, Policy) or (isinstance(result, PolicyError) and "\n" not in str(result))


START = (ROOT / "rules" / "start.yaml").read_bytes()


@given(st.binary(max_size=400))
def test_any_bytes_are_a_policy_or_one_sentence(data: bytes) -> None:
    assert is_policy_or_one_line(outcome(data))


@given(
    st.integers(0, len(START)),
    st.integers(0, 40),
    st.binary(max_size=12)
    | st.sampled_from([b": ", b"- ", b"[", b"}", b"\n", b"\n  ", b"'", b'"', b"#", b"&a ", b"*a", b"!!"]),
)
def test_a_policy_with_a_piece_replaced_is_a_policy_or_one_sentence(at: int, cut: int, put: bytes) -> None:
    assert is_policy_or_one_line(outcome(START[:at] + put + START[at + cut :]))
