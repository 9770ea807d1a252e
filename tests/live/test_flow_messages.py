"""What is asked of nftables and how its answers are read; test_pinholes.py has the kernel at the other end."""

from hypothesis import given
from hypothesis import strategies as st

from firewall.live.flow_messages import add_element, delete_element, is_elements, read_elements
from firewall.live.flow_sets import Element
from firewall.live.netlink import messages

ELEMENT = Element("media4", bytes.fromhex("c000020a c633640a 9c400000"))


def test_an_element_is_read_as_it_was_added() -> None:
    added = add_element(ELEMENT, 600_000, is_accepted=True, comment="rtp carrier 1@192.0.2.10")
    ((kind, _, start, end),) = messages(added)
    assert is_elements(kind)
    (found,) = read_elements(added, start, end, whole=True)
    assert (found.key, found.comment) == (ELEMENT.key, "rtp carrier 1@192.0.2.10")
    assert (found.packets, found.octets, found.timeout_ms) == (0, 0, 600_000)


def test_what_removes_an_element_names_nothing_but_its_key() -> None:
    removed = delete_element(ELEMENT)
    ((kind, _, start, end),) = messages(removed)
    assert not is_elements(kind)
    (found,) = read_elements(removed, start, end, whole=True)
    assert (found.key, found.comment) == (ELEMENT.key, "")


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    list(read_elements(data, 0, len(data), whole=True))
