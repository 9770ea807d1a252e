"""Sockets that may have the address of others."""

import errno
import socket

import pytest

from firewall.live.testbed import in_namespace
from firewall.live.transparent import OPTIONS, transparent_socket
from tests.live.conftest import Namespaces

pytestmark = pytest.mark.netns


@pytest.mark.parametrize(("version", "address"), [(4, "192.0.2.99"), (6, "2001:db8:1::99")])
def test_the_address_of_another_can_be_bound_and_each_option_is_known(
    testbed: Namespaces, version: int, address: str
) -> None:
    with in_namespace(testbed.fw, lambda: transparent_socket(version, socket.SOCK_DGRAM)) as opened:
        opened.bind((address, 5060))
        assert opened.getsockname()[:2] == (address, 5060)
        level, *numbers = OPTIONS[version]
        for number in numbers:
            opened.setsockopt(level, number, 1)
            assert opened.getsockopt(level, number) == 1


def test_ipv6_and_ipv4_do_not_share_a_port(testbed: Namespaces) -> None:
    with (
        in_namespace(testbed.fw, lambda: transparent_socket(4, socket.SOCK_STREAM)) as four,
        in_namespace(testbed.fw, lambda: transparent_socket(6, socket.SOCK_STREAM)) as six,
    ):
        four.bind(("0.0.0.0", 5070))  # noqa: S104 (that is what is asked)
        six.bind(("::", 5070))


def test_what_the_kernel_does_not_give_is_an_error_with_its_code() -> None:
    with pytest.raises(OSError, match="not supported") as refused:
        transparent_socket(4, socket.SOCK_SEQPACKET)
    assert refused.value.errno in (errno.ESOCKTNOSUPPORT, errno.EPROTONOSUPPORT)
