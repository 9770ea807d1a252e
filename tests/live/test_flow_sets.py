"""Which set holds a pinhole: there and back again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from firewall.engine.pinhole import Pinhole, PinholeKey
from firewall.live.flow_sets import (
    Element,
    comment_of,
    element_of,
    key_of,
    plain_name,
    read_comment,
    set_types,
    zone_set,
)

ADDRESSES = {4: st.ip_addresses(v=4).map(str), 6: st.ip_addresses(v=6).map(str)}
PORTS = st.integers(1, 65_535)
ZONES = st.sampled_from([None, "carrier", "psap", "the ☎ zone", "x" * 200])


@st.composite
def keys(draw: st.DrawFn) -> PinholeKey:
    address = ADDRESSES[draw(st.sampled_from([4, 6]))]
    src_ip = draw(st.none() | address)
    src_port = None if src_ip is None else draw(st.none() | PORTS)
    return PinholeKey("UDP", draw(ZONES), src_ip, src_port, draw(address), draw(PORTS))


@given(keys(), st.text(max_size=400))
def test_a_pinhole_found_in_the_kernel_is_the_one_that_was_put_there(key: PinholeKey, call_id: str) -> None:
    comment = comment_of(Pinhole(key, "rtcp", call_id, 1))
    kind, zone, call = read_comment(comment)
    assert len(comment.encode()) <= 250
    assert '"' not in comment
    assert comment.isprintable()
    assert kind == "rtcp"
    assert call in (call_id, "")
    if len(call_id) < 15 and len(key.src_zone or "") < 15:
        assert call == call_id
    if zone == key.src_zone:  # a zone's name may be too long to be told
        found = key_of(element_of(key), zone)
        assert found == key


@given(keys(), keys())
def test_no_two_pinholes_share_an_element_unless_only_the_zone_of_a_known_source_differs(
    one: PinholeKey, other: PinholeKey
) -> None:
    if element_of(one) == element_of(other):
        assert replace(one, src_zone=None) == replace(other, src_zone=None)
        assert one.src_ip is not None or one.src_zone == other.src_zone


@given(keys())
def test_every_pinhole_has_a_set_that_is_declared(key: PinholeKey) -> None:
    zones = () if key.src_zone is None else (key.src_zone,)
    assert element_of(key).set_name in set_types(zones)


def test_keys_are_the_bytes_that_nftables_compares() -> None:
    key = PinholeKey("UDP", "carrier", "192.0.2.10", 4096, "198.51.100.10", 40_000)
    assert element_of(key) == Element("media4_port", bytes.fromhex("c000020a 10000000 c633640a 9c400000"))
    assert element_of(replace(key, src_port=None)) == Element("media4", bytes.fromhex("c000020a c633640a 9c400000"))
    anywhere = replace(key, src_ip=None, src_port=None)
    assert element_of(anywhere) == Element("media4_from_carrier", bytes.fromhex("c633640a 9c400000"))


def test_what_is_no_set_of_ours_is_left_alone() -> None:
    assert key_of(Element("media_copied4", bytes(16)), None) is None
    assert key_of(Element("media4", bytes(3)), None) is None


def test_names_that_nft_cannot_take_are_replaced_each_by_its_own() -> None:
    assert plain_name("carrier") == "carrier"
    odd = {plain_name("a b"), plain_name("a-b"), plain_name('a"b'), plain_name("")}
    assert len(odd) == 4
    assert all(name.isalnum() for name in odd)
    assert zone_set(6, None) != zone_set(6, "")


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no address"):
        element_of(PinholeKey("UDP", None, None, None, "media.example", 40_000))
