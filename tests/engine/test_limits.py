"""Token buckets and bans."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.engine import limits
from firewall.engine.decide import key_reader
from firewall.engine.limits import Bans, Buckets, shortened
from firewall.net.datagram import Datagram
from firewall.ruleset.facts import Facts
from firewall.ruleset.policy import Limit
from firewall.sip.message import parse_message
from tests.messages import request
from tests.scene import Scene, policy

SECOND = 1_000_000_000


@given(
    count=st.integers(1, 50),
    period_s=st.integers(1, 60),
    burst=st.integers(1, 60),
    gaps_ns=st.lists(st.integers(0, 3 * SECOND), max_size=60),
)
def test_a_bucket_is_the_textbook_token_bucket(count: int, period_s: int, burst: int, gaps_ns: list[int]) -> None:
    """The oracle counts tokens in exact fractions."""
    buckets = Buckets(Limit(count, period_s * SECOND, burst, (), "test"))
    tokens, now = Fraction(burst), 10**18
    for gap in gaps_ns:
        now += gap
        tokens = min(Fraction(burst), tokens + Fraction(gap * count, period_s * SECOND))
        expected_above = tokens < 1
        if not expected_above:
            tokens -= 1
        assert buckets.above((), now) is expected_above


def test_a_key_takes_little_room_whatever_a_sender_writes() -> None:
    """65 536 users of 60 KB would be 4 GB."""
    assert shortened(("bob", None, 5)) == ("bob", None, 5)
    long = [
        ("a" * 60_000,),
        ("a" * 59_999 + "\udcff",),
        ("a",) * 500,
        ("a",) * 499,
        ("a" * 200, "b" * 200),
        ("a" * 400,),
    ]
    short = [shortened(key) for key in long]
    assert len(set(short)) == len(long)
    assert all(len(key) == 1 and isinstance(key[0], bytes) and len(key[0]) == 16 for key in short)


@pytest.mark.parametrize("per", [("sip",), ("sdp.media.port",), ("net.src", "sdp.media.port"), ("sip.from.user",)])
def test_whatever_a_limit_counts_by_is_a_short_key(per: tuple[str, ...]) -> None:
    body = "v=0\r\n" + "".join(f"m=audio {port} RTP/AVP 0\r\n" for port in range(10_000, 11_000))
    headers = ("Content-Type: application/sdp",)
    invite = request(from_uri=f"sip:{'b' * 3000}@h", headers=headers, body=body)
    (key,) = key_reader(per)(Facts(Datagram("192.0.2.1", 5060, "192.0.2.2", 5060, invite), parse_message(invite)))
    assert isinstance(key, bytes)
    assert len(key) == 16


def test_senders_with_long_names_are_counted_apart() -> None:
    scene = Scene(
        policy(
            """
  - {name: many, when: 'sip.Method == "OPTIONS"', limit: {rate: 1/1h, per: sip.from.user}, action: drop}""",
            default="allow",
        )
    )
    users = [f"sip:{'a' * 3000}{number}@h" for number in (1, 2)]
    told = [
        scene.carrier(
            request("OPTIONS", "sip:h", call_id=f"c{number}", from_uri=user, branch=f"z9hG4bK{number}")
        ).verdict
        for number, user in enumerate((*users, *users))
    ]
    assert told == ["allow", "allow", "drop", "drop"]


def test_the_number_of_buckets_is_bounded_and_the_longest_unused_goes() -> None:
    buckets = Buckets(Limit(1, 3600 * SECOND, 1, ("net.src",), "1/1h"))
    for key in range(limits.MAX_KEYS + 1):
        assert not buckets.above((key,), 0)
    assert buckets.above((limits.MAX_KEYS,), 0), "the last one is still known"
    assert not buckets.above((0,), 0), "the first one was forgotten"


def test_a_ban_ends_by_itself_and_the_number_of_bans_is_bounded() -> None:
    (rule,) = policy("  - {name: scan, action: drop, ban: 1s}").rules
    bans = Bans()
    bans.add("192.0.2.1", rule, 10)
    assert bans.rule_for("192.0.2.1", 9) is rule
    assert bans.rule_for("192.0.2.1", 10) is None
    assert len(bans.banned) == 0
    for number in range(limits.MAX_KEYS + 5):
        bans.add(str(number), rule, 10)
    assert len(bans.banned) == limits.MAX_KEYS
    assert bans.rule_for("4", 0) is None
    assert bans.rule_for("5", 0) is rule, "the ones of longest ago go first"
