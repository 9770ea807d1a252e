"""Which datagrams may be media by their ports."""

import pytest

from firewall.net.media_port import is_media_port


@pytest.mark.parametrize(
    ("src_port", "dst_port", "is_media"),
    [(40000, 49170, True), (53, 49170, False), (40000, 123, False), (1024, 1024, True), (4500, 4500, False)],
)
def test_system_ports_and_the_policys_other_ports_are_no_media(src_port: int, dst_port: int, is_media: bool) -> None:
    assert is_media_port(src_port, dst_port, frozenset({4500})) is is_media
