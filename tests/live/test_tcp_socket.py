"""Transparent TCP sockets: whose addresses they have, where a connection came in, and how they are refused."""

import socket
import struct
from collections.abc import Iterator

import pytest

from firewall.errors import MachineError
from firewall.live import nftables, routing
from firewall.live.links import interface_names
from firewall.live.tcp_socket import (
    KERNEL_BUFFER_BYTES,
    Accepted,
    TcpListener,
    connect_from,
    open_tcp_listeners,
    reset,
)
from firewall.live.testbed import in_namespace
from firewall.ruleset.policy import Policy
from tests.live.conftest import Namespaces
from tests.live.firewall_process import wait_until
from tests.live.peer import tcp_client, tcp_server
from tests.live.sipp import CARRIER, CARRIER_V6, PSAP, PSAP_V6
from tests.live.test_nftables import policy

pytestmark = pytest.mark.netns

ENDS = {4: (CARRIER, PSAP), 6: (CARRIER_V6, PSAP_V6)}


@pytest.fixture
def listeners(testbed: Namespaces) -> Iterator[dict[int, TcpListener]]:
    """Listeners of both families with the kernel's rules and routes, and no daemon."""
    anywhere: Policy = policy()

    def open_all() -> list[TcpListener]:
        routing.set_up_routes((4, 6))
        nftables.apply_ruleset(nftables.render_ruleset(anywhere))
        return open_tcp_listeners((4, 6), nftables.PROXY_PORT)

    opened = in_namespace(testbed.fw, open_all)
    yield {listener.version: listener for listener in opened}
    for listener in opened:
        listener.close()
    in_namespace(testbed.fw, nftables.remove_table)
    in_namespace(testbed.fw, routing.remove_routes)


def accept(listener: TcpListener) -> Accepted:
    accepted = wait_until(listener.accept, "a connection")
    assert isinstance(accepted, Accepted)
    return accepted


@pytest.mark.parametrize("version", [4, 6])
def test_a_connection_is_accepted_in_its_servers_name_and_made_in_its_clients(
    testbed: Namespaces, listeners: dict[int, TcpListener], version: int
) -> None:
    caller, called = ENDS[version]
    with tcp_server(testbed.psap, called) as server, tcp_client(testbed.carrier, caller, called) as client:
        accepted = accept(listeners[version])
        assert (accepted.client, accepted.server) == (client.getsockname()[:2], (called, 5060))
        names = in_namespace(testbed.fw, interface_names)
        assert names[accepted.interface_index] == "f0"
        upstream, _ = in_namespace(testbed.fw, lambda: connect_from(accepted.client, accepted.server, 0xB8))
        connection, source = server.accept()
        with connection, upstream, accepted.socket:
            assert source[:2] == accepted.client
            for ours in (upstream, accepted.socket):
                for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                    assert ours.getsockopt(socket.SOL_SOCKET, buffer) == 2 * KERNEL_BUFFER_BYTES  # socket(7): doubled
            client.sendall(b"through")
            upstream.sendall(wait_until(lambda: accepted.socket.recv(100), "bytes"))
            assert connection.recv(100) == b"through"


def test_the_traffic_class_of_the_client_is_known(testbed: Namespaces, listeners: dict[int, TcpListener]) -> None:
    def connected() -> socket.socket:
        opened = socket.socket()
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB8)
        opened.connect((PSAP, 5060))
        return opened

    with in_namespace(testbed.carrier, connected):
        accepted = accept(listeners[4])
        accepted.socket.close()
    assert accepted.traffic_class == 0xB8


def test_one_client_port_may_be_connected_to_several_servers_and_be_the_proxy_ports_number(
    testbed: Namespaces, listeners: dict[int, TcpListener]
) -> None:
    assert listeners
    with tcp_server(testbed.psap, PSAP) as one, tcp_server(testbed.psap, PSAP, 5062) as other:
        client = (CARRIER, nftables.PROXY_PORT)
        for server in (one, other):
            with in_namespace(testbed.fw, lambda: connect_from(client, server.getsockname(), 0))[0]:  # noqa: B023
                connection, source = server.accept()
                with connection:
                    assert source == client


def test_a_program_of_this_machine_that_connects_to_the_proxy_port_is_reset(
    testbed: Namespaces, listeners: dict[int, TcpListener]
) -> None:
    def connected() -> socket.socket:
        opened = socket.socket()
        opened.settimeout(5)
        opened.connect(("127.0.0.1", nftables.PROXY_PORT))
        return opened

    with in_namespace(testbed.fw, connected) as local:
        assert listeners[4].accept() is None
        with pytest.raises(ConnectionResetError):
            local.recv(1)


def test_a_reset_is_a_reset(testbed: Namespaces) -> None:
    with tcp_server(testbed.psap, PSAP) as server, tcp_client(testbed.carrier, CARRIER, PSAP) as client:
        reset(server.accept()[0])
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_a_port_in_use_and_missing_rights_are_one_sentence(testbed: Namespaces) -> None:
    def occupied() -> socket.socket:
        opened = socket.socket()
        opened.bind(("127.0.0.1", nftables.PROXY_PORT))
        opened.listen()
        return opened

    with (
        in_namespace(testbed.fw, occupied),
        pytest.raises(MachineError, match="TCP port 505: Address already in use; another sosgate, or another"),
    ):
        in_namespace(testbed.fw, lambda: TcpListener(4, nftables.PROXY_PORT))


def test_a_connection_that_began_while_none_listened_is_reset_and_not_taken_for_a_new_one(
    testbed: Namespaces, listeners: dict[int, TcpListener]
) -> None:
    in_namespace(testbed.fw, nftables.remove_table)
    with tcp_server(testbed.psap, PSAP) as server, tcp_client(testbed.carrier, CARRIER, PSAP) as client:
        connection, _ = server.accept()
        with connection:
            in_namespace(testbed.fw, lambda: nftables.apply_ruleset(nftables.render_ruleset(policy())))
            client.sendall(b"still here")
            with pytest.raises(ConnectionResetError):
                client.recv(100)
            assert listeners[4].accept() is None
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
