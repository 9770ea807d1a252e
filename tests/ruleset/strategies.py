"""Hypothesis strategies for conditions in their normal form."""

from hypothesis import strategies as st

from firewall.errors import Place
from firewall.net.address import Network, address_number
from firewall.ruleset.expression import (
    And,
    Call,
    Comparison,
    Condition,
    Contains,
    Exists,
    Field,
    Item,
    Matches,
    Membership,
    Not,
    Or,
    Range,
    SetMembers,
    Slice,
)
from firewall.ruleset.fields import FIELDS
from firewall.ruleset.network_set import merged
from firewall.ruleset.policy import NamedSet, NetworkSet, StringSet

PLACE = Place("policy.yaml", 1, 1)
STRING_SET = StringSet("agents", frozenset({"friendly-scanner", "sipcli"}), PLACE)
NETWORK_SET = NetworkSet("blocked", merged([Network.parse("203.0.113.0/24"), Network.parse("2001:db8:3::/64")]), PLACE)
SETS: dict[str, NamedSet] = {"agents": STRING_SET, "blocked": NETWORK_SET}

# Values that the captured messages of captured.py hold, so that comparisons are not always false.
WORDS = ["INVITE", "BYE", "bob", "alice", "example.com", "sip", "Scanner", "é", "z9hG4bKabc", "100rel", "V"]
NUMBERS = [0, 1, 2, 7, 70, 200, 404, 5060, 5070, 40000]
REGEXES = ["^inv", "bob", "\\d+", "(sip|tel):", "[a-f]+$", "scanner/1\\.0", "x?"]
TEXT_FIELDS = [
    "sip.Method", "sip.r-uri", "sip.from.user", "sip.to.host", "sip.Via", "sip.Via.branch", "sip.User-Agent",
    "sip.CSeq.method", "sip.Call-ID", "sip.Contact", "sip.contact.host", "sdp.media", "sdp.media.media",
]  # fmt: skip
NUMBER_FIELDS = [
    "sip.Status-Code", "sip.Content-Length", "sip.CSeq.seq", "sip.Via.sent-by.port", "udp.port", "udp.srcport",
    "sdp.media.port", "frame.len",
]  # fmt: skip
OWN_TEXT_FIELDS = ["zone.src", "emergency.service"]
ADDRESSES = {
    4: ["192.0.2.10", "192.0.2.0", "198.51.100.1", "203.0.113.9"],
    6: ["2001:db8:1::1", "2001:db8:2::2", "2001:db8::"],
}
FAMILIES = {"ip.src": (4,), "ip.addr": (4,), "ipv6.src": (6,), "ipv6.addr": (6,), "net.src": (4, 6), "net.addr": (4, 6)}
FLAGS = ["emergency", "malformed", "media.negotiated"]

comparators = st.sampled_from(["==", "!=", ">", ">=", "<", "<="])
texts = st.sampled_from(WORDS) | st.text(min_size=1, max_size=8).map(
    lambda text: text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
)
plain_texts = st.sampled_from(WORDS)


def networks(families: tuple[int, ...], *, single: bool = False) -> st.SearchStrategy[Network]:
    addresses = [text for family in families for text in ADDRESSES[family]]

    def network(text: str, prefix: int) -> Network:
        number = address_number(text)
        size = 1 << (0 if single else prefix)
        first = number // size * size
        return Network(first, first + size - 1)

    return st.builds(network, st.sampled_from(addresses), st.sampled_from([0, 8, 16]))


@st.composite
def relations(draw: st.DrawFn, *, wireshark: bool = False) -> Condition:
    """Draw one relation; with ``wireshark`` one that Wireshark takes, too."""
    kind = draw(
        st.sampled_from(["text", "number", "address", "exists"] + ([] if wireshark else ["flag", "own", "set"]))
    )
    words = plain_texts if wireshark else texts
    match kind:
        case "text":
            return draw(text_relations(draw(st.sampled_from(TEXT_FIELDS)), words))
        case "number":
            return draw(number_relations(draw(st.sampled_from(NUMBER_FIELDS))))
        case "address":
            names = [name for name in FAMILIES if not (wireshark and FIELDS[name].own)]
            return draw(address_relations(draw(st.sampled_from(names))))
        case "exists":
            return Exists(Field(draw(st.sampled_from([*TEXT_FIELDS, *NUMBER_FIELDS, "sip", "sdp", "ip"]))))
        case "flag":
            return Comparison(Field(draw(st.sampled_from(FLAGS))), "==", True)
        case "own":
            header = Field("sip.header", draw(st.sampled_from(["x-weird", "subject"])))
            field = draw(st.sampled_from([header, *(Field(name) for name in OWN_TEXT_FIELDS)]))
            return Comparison(field, draw(comparators), draw(words))
        case _:
            return draw(
                st.sampled_from(
                    [
                        Membership(Field("sip.User-Agent"), (SetMembers("agents", STRING_SET.values),)),
                        Membership(Field("sip.User-Agent"), ("x", SetMembers("agents", STRING_SET.values))),
                        Membership(Field("net.src"), (SetMembers("blocked", NETWORK_SET.networks),)),
                    ]
                )
            )


@st.composite
def text_relations(draw: st.DrawFn, name: str, words: st.SearchStrategy[str]) -> Condition:
    field = Field(name)
    start, length = draw(st.sampled_from([(0, 3), (1, 2), (3, None), (-3, 3), (-3, None), (0, 1), (-4, 2)]))
    operand = draw(
        st.sampled_from([field, field, Slice(field, start, length), Call("lower", field), Call("upper", field)])
    )
    match draw(st.sampled_from(["comparison", "in", "contains", "matches", "len", "count"])):
        case "comparison":
            return Comparison(operand, draw(comparators), draw(words))
        case "in":
            low, high = sorted([draw(words), draw(words)], key=lambda text: text.encode("utf-8", "surrogateescape"))
            return Membership(field, (*draw(st.lists(words, min_size=1, max_size=3)), Range(low, high)))
        case "contains":
            return Contains(operand, draw(words))
        case "matches":
            return Matches(operand, draw(st.sampled_from(REGEXES)))
        case "len":
            return Comparison(Call("len", field), draw(comparators), draw(st.sampled_from(NUMBERS)))
        case _:
            return Comparison(Call("count", field), draw(comparators), draw(st.sampled_from(NUMBERS)))


@st.composite
def number_relations(draw: st.DrawFn, name: str) -> Condition:
    if draw(st.booleans()):
        return Comparison(Field(name), draw(comparators), draw(st.sampled_from(NUMBERS)))
    low, high = sorted([draw(st.sampled_from(NUMBERS)), draw(st.sampled_from(NUMBERS))])
    items: list[Item] = [*draw(st.lists(st.sampled_from(NUMBERS), max_size=2)), Range(low, high)]
    return Membership(Field(name), tuple(items))


@st.composite
def address_relations(draw: st.DrawFn, name: str) -> Condition:
    families = FAMILIES[name]
    comparator = draw(comparators)
    if draw(st.booleans()):
        network = draw(networks(families, single=comparator not in ("==", "!=")))
        return Comparison(Field(name), comparator, network)
    return Membership(Field(name), tuple(draw(st.lists(networks(families), min_size=1, max_size=3))))


def conditions(*, wireshark: bool = False) -> st.SearchStrategy[Condition]:
    """Conditions of a few levels, in their normal form."""
    return st.recursive(relations(wireshark=wireshark), _combined, max_leaves=6)


def _combined(parts: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(parts, min_size=2, max_size=3)
    return (
        parts.map(Not)
        | several.map(lambda found: And(tuple(p for part in found for p in _flat(part, And))))
        | several.map(lambda found: Or(tuple(p for part in found for p in _flat(part, Or))))
    )


def _flat(part: Condition, kind: type[And] | type[Or]) -> tuple[Condition, ...]:
    return part.conditions if isinstance(part, kind) else (part,)
