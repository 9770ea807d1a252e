"""Transparent TCP sockets: accepting what was addressed to others, connecting from an address that is not ours.

A connection is accepted in the server's name and made anew to the server in the client's name: from the client's own
address *and* port, so neither side sees that there are two.
"""

import contextlib
import errno
import socket
import struct
from dataclasses import dataclass

from firewall.live.listener import socket_refusal
from firewall.live.transparent import OPTIONS, SO_TIMESTAMPNS, transparent_socket

Endpoint = tuple[str, int]

# The peer is dead when this much time passes without a sign of it; its other side then hears so by a reset.
KEEP_ALIVE_AFTER_S = 60
_KEEP_ALIVE_EVERY_S = 15
_KEEP_ALIVE_PROBES = 4
# Data that the peer does not acknowledge: twice Timer B (RFC 3261 §17.1.1.2), after which no transaction waits for it.
UNACKNOWLEDGED_MS = 64_000

# The kernel takes twice as much for each, and by itself up to 32 MB: a few hundred connections that are not read would
# take all that it has for TCP, also what the others need.
KERNEL_BUFFER_BYTES = 128 * 1024

_BACKLOG = 4096
_IP_PKTOPTIONS = 9
_IPV6_2292PKTOPTIONS = 6
_OPTIONS_BYTES = 512
_CMSG_HEADER = struct.Struct("@Nii")
_SIZE_T_BYTES = struct.calcsize("@N")
_INT = struct.Struct("@i")
_LOOPBACK = {4: "127.0.0.1", 6: "::1"}
_RESET_ON_CLOSE = struct.pack("@ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A connection accepted in its server's name. ``interface_index``: where its handshake came in, 0 if unknown."""

    socket: socket.socket
    client: Endpoint
    server: Endpoint
    interface_index: int
    traffic_class: int


class TcpListener:
    """The transparent listening socket of one IP version, on the loopback address: only tproxy reaches it.

    (On the wildcard address it would forbid connecting on behalf of a client whose own port has the same number.)

    Raises:
        MachineError: the socket cannot be made here.
    """

    def __init__(self, version: int, port: int) -> None:
        self.version = version
        self._own = (_LOOPBACK[version], port)
        self._socket = _listening_socket(version, self._own)
        self.fileno, self.close = self._socket.fileno, self._socket.close

    def accept(self) -> Accepted | None:
        """Return the next waiting connection, None when none waits.

        Raises:
            OSError: no more descriptors or memory (``EMFILE ENFILE ENOBUFS ENOMEM``).
        """
        while True:
            try:
                opened, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError):
                return None
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    raise
                continue  # it was reset before it was taken
            try:
                accepted = self._accepted(opened)
            except OSError:
                opened.close()
                continue
            if accepted is not None:
                return accepted

    def _accepted(self, opened: socket.socket) -> Accepted | None:
        opened.setblocking(False)
        server, client = opened.getsockname()[:2], opened.getpeername()[:2]
        if server == self._own:
            reset(opened)  # not intercepted: a program on this machine connected to the proxy port itself
            return None
        _set_up(opened)
        index, traffic_class = _arrival_options(opened, self.version)
        return Accepted(opened, client, server, index, traffic_class)


def open_tcp_listeners(versions: tuple[int, ...], port: int) -> list[TcpListener]:
    """Open a listener for each of these IP versions.

    Raises:
        MachineError: a socket cannot be made here.
    """
    with contextlib.ExitStack() as undo:
        listeners = [undo.enter_context(contextlib.closing(TcpListener(version, port))) for version in versions]
        undo.pop_all()
    return listeners


def connect_from(client: Endpoint, server: Endpoint, traffic_class: int) -> tuple[socket.socket, OSError | None]:
    """Begin to connect to ``server`` from the client's own address and port; return the socket at once, and why the
    kernel refuses where it does so at once.

    The same four numbers may have been in use a moment ago: what the kernel remembers of that in TIME_WAIT does not
    hinder a new connection (RFC 6191), because the port is bound beforehand.

    Raises:
        OSError: no more descriptors or memory.
    """
    version = 6 if ":" in client[0] else 4
    opened = transparent_socket(version, socket.SOCK_STREAM)
    try:
        # Several connections of one client port to several servers share the port, as they do at the client.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setsockopt(OPTIONS[version].level, OPTIONS[version].traffic_class, traffic_class)
        _set_up(opened)
        opened.bind(client)
        opened.connect(server)
    except BlockingIOError:
        return opened, None
    except OSError as error:
        return opened, error
    return opened, None


def reset(opened: socket.socket) -> None:
    """Close with a reset instead of a FIN: the peer knows at once that nothing more comes of this connection."""
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    finally:
        opened.close()


def _set_up(opened: socket.socket) -> None:
    opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER_BYTES)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER_BYTES)
    # A byte that is marked urgent is one of the stream's like any other (RFC 6093 §6), as it is in a capture.
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEP_ALIVE_AFTER_S)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEP_ALIVE_EVERY_S)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEP_ALIVE_PROBES)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _listening_socket(version: int, own: Endpoint) -> socket.socket:
    options = OPTIONS[version]
    try:
        with contextlib.ExitStack() as undo:
            opened = undo.enter_context(transparent_socket(version, socket.SOCK_STREAM))
            # Inherited by what is accepted: without it two connections to one server could not be made side by side.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.setsockopt(options.level, options.arrival, 1)
            opened.setsockopt(options.level, options.traffic_class_received, 1)
            opened.bind(own)
            opened.listen(_BACKLOG)
            undo.pop_all()
    except OSError as error:
        raise socket_refusal(version, "TCP", own[1], error) from None
    return opened


def _arrival_options(opened: socket.socket, version: int) -> tuple[int, int]:
    """Return the interface and the traffic class with which a connection's handshake came in; 0 where unknown.

    TCP has no ancillary data for them, but the kernel keeps those of the handshake (ip(7) IP_PKTOPTIONS, RFC 2292 §6).
    """
    try:
        if version == 4:
            options = opened.getsockopt(socket.IPPROTO_IP, _IP_PKTOPTIONS, _OPTIONS_BYTES)
        else:
            options = opened.getsockopt(socket.IPPROTO_IPV6, _IPV6_2292PKTOPTIONS, _OPTIONS_BYTES)
    except OSError:
        return 0, 0
    index = traffic_class = 0
    for level, kind, data in _control_messages(options):
        match level, kind:
            case 0, 8:
                (index,) = _INT.unpack_from(data)
            case 41, socket.IPV6_PKTINFO:
                (index,) = _INT.unpack_from(data, 16)
            case 0, socket.IP_TOS:
                traffic_class = data[0]
            case 41, socket.IPV6_TCLASS:
                (traffic_class,) = _INT.unpack_from(data)
    return index, traffic_class & 0xFC  # the two ECN bits belong to each connection by itself


def _control_messages(options: bytes) -> list[tuple[int, int, bytes]]:
    """Read a sequence of struct cmsghdr, each aligned like a size_t."""
    found = []
    offset = 0
    while offset + _CMSG_HEADER.size <= len(options):
        length, level, kind = _CMSG_HEADER.unpack_from(options, offset)
        if length < _CMSG_HEADER.size or offset + length > len(options):
            break
        found.append((level, kind, options[offset + _CMSG_HEADER.size : offset + length]))
        offset += -(-length // _SIZE_T_BYTES) * _SIZE_T_BYTES
    return found
