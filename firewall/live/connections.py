"""All intercepted TCP connections: accepting, limits, looking after them, and an orderly end."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice

import msgspec
from msgspec.structs import replace

from firewall.engine.events import ConnectionRefused, ConnectionsClosed
from firewall.live.connection import Connection, OnFailed, Serve
from firewall.live.links import InterfaceNames
from firewall.live.route import RouteLookup
from firewall.live.sender import SOURCES_MAX, descriptors, error_words
from firewall.live.shares import Shares
from firewall.live.tcp_socket import Accepted, TcpListener, connect_from, reset
from firewall.net.address import IPV4_FIRST, address_number
from firewall.net.datagram import Datagram

CONNECTIONS_MAX = 8192
IDLE_MAX_S = 12 * 3600.0
QUIET_S = 32.0
"""What has been quiet for less than this may be in the middle of a transaction (Timer B, RFC 3261 §17.1.1.2)."""
GREEDY_SHARE = 4
"""A source with more than one in so many of all connections is greedy: it makes room before any other."""

_ACCEPTS_PER_WAKE_UP = 32
_ACCEPT_AGAIN_S = 0.1
# Looking through all connections takes milliseconds: not for each newcomer of a flood.
_LOOK_FOR_ROOM_AGAIN_S = 0.25


class ConnectionsStatus(msgspec.Struct):
    """TCP connections: those open now, and counts since the start.

    ``not_reached``: the server refused or did not answer. ``refused``: over a limit. ``crowded_out``: closed to make
    room for new ones. ``waiting_bytes``: let through, and not yet taken by a side that is slow.
    """

    max: int
    max_per_source: int
    open: int = 0
    accepted: int = 0
    not_reached: int = 0
    broken: int = 0
    refused: int = 0
    crowded_out: int = 0
    idle_closed: int = 0
    waiting_bytes: int = 0


class Connections:
    """Accepts connections, from ``start`` on, and keeps them within bounds.

    ``serve`` has the engine decide on messages; ``failed`` is told what was lost although no rule said so, ``tell``
    what limits do. ``is_urgent`` tells whether a message may be of an emergency call that goes on.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listeners: list[TcpListener],
        interfaces: InterfaceNames,
        serve: Serve,
        failed: OnFailed,
        tell: Callable[[ConnectionRefused | ConnectionsClosed], None],
        is_urgent: Callable[[Datagram], bool],
    ) -> None:
        self._loop = loop
        self._interfaces = interfaces
        self._serve = serve
        self._failed = failed
        self._tell = tell
        self._is_urgent = is_urgent
        self._shares = Shares(loop)
        self._routes = RouteLookup()
        self._listeners = listeners
        self._open: dict[Connection, None] = {}
        self._per_source: Counter[int] = Counter()
        self._max = _connections_allowed()
        self._counts = ConnectionsStatus(self._max, max(1, self._max // 2))
        self._no_room_until = {False: 0.0, True: 0.0}  # for newcomers of sources that are not greedy, that are

    def start(self) -> None:
        """Begin to accept."""
        for listener in self._listeners:
            self._loop.add_reader(listener.fileno(), self._accept, listener)

    async def stop(self, within_s: float) -> None:
        """Take what waits, end every connection in order, and reset what has not ended ``within_s``."""
        for listener in self._listeners:
            self._loop.remove_reader(listener.fileno())
            self._accept(listener, limit=CONNECTIONS_MAX)
        self._close_listeners()
        until = self._loop.time() + within_s
        for connection in list(self._open):
            if self._loop.time() < until:  # deciding what they have said takes long in a flood
                connection.finish()
        while self._open and self._loop.time() < until:
            await asyncio.sleep(0.005)
        self.close()

    def close(self) -> None:
        """Reset whatever is left and listen no more."""
        self._close_listeners()
        for connection in list(self._open):
            connection.abort()
        self._routes.close()

    def forget_routes(self) -> None:
        """Routes may have changed."""
        self._routes.forget()

    def sweep(self) -> None:
        """Look after the connections, every few seconds: those that are idle, those that broke unnoticed."""
        now = self._loop.time()
        for connection in list(self._open):
            connection.look_after()
            if now - connection.last_active > IDLE_MAX_S and not self._has_emergency(connection):
                self._counts.idle_closed += 1
                connection.finish()

    def status(self) -> ConnectionsStatus:
        """Return the counts."""
        waiting_bytes = sum(connection.waiting_bytes for connection in self._open)
        return replace(self._counts, open=len(self._open), waiting_bytes=waiting_bytes)

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            self._loop.remove_reader(listener.fileno())
            listener.close()
        self._listeners = []

    def _accept(self, listener: TcpListener, limit: int = _ACCEPTS_PER_WAKE_UP) -> None:
        for _ in range(limit):
            try:
                accepted = listener.accept()
            except OSError:
                # No descriptor is left. The connection stays in the backlog; asking again at once would spin.
                self._crowd_out(None)
                self._loop.remove_reader(listener.fileno())
                self._loop.call_later(_ACCEPT_AGAIN_S, self._accept_again, listener)
                return
            if accepted is None:
                return
            self._begin(accepted)

    def _accept_again(self, listener: TcpListener) -> None:
        if listener in self._listeners:
            self._loop.add_reader(listener.fileno(), self._accept, listener)

    def _begin(self, accepted: Accepted) -> None:
        self._counts.accepted += 1
        source = _source(accepted.client[0])
        if self._per_source[source] >= self._counts.max_per_source:
            self._refuse(accepted, f"this source has {self._counts.max_per_source} TCP connections already")
            return
        if len(self._open) >= self._max and not self._crowd_out(source):
            self._refuse(accepted, f"there are {self._max} TCP connections already, and none is idle")
            return
        try:
            upstream, error = connect_from(accepted.client, accepted.server, accepted.traffic_class)
        except OSError as failure:
            self._refuse(accepted, f"this machine opens no more sockets: {error_words(failure)}")
            return
        connection = Connection(
            self._loop,
            (accepted.socket, upstream),
            (accepted.client, accepted.server),
            source,
            (
                self._interfaces.name(accepted.interface_index),
                self._interfaces.name(self._routes.interface_toward(accepted.server[0])),
            ),
            self._shares,
            self._serve,
            self._failed,
            self._done,
        )
        self._open[connection] = None
        self._per_source[source] += 1
        if error is not None:
            connection.not_reached(f"this machine cannot connect there: {error_words(error)}")

    def _refuse(self, accepted: Accepted, reason: str) -> None:
        self._counts.refused += 1
        self._tell(ConnectionRefused(_reset(accepted), reason))

    def _crowd_out(self, newcomer: int | None) -> bool:
        """Reset a few connections to make room, for one of a source (None: not yet known); False when none may go."""
        is_greedy = newcomer is not None and self._per_source[newcomer] > self._max // GREEDY_SHARE
        now = self._loop.time()
        if now < self._no_room_until[is_greedy]:
            return False
        chosen = making_room(self._open, newcomer, self._max, now, self._has_emergency)
        if not chosen:
            self._no_room_until[is_greedy] = now + _LOOK_FOR_ROOM_AGAIN_S
        else:
            (source, count), *_ = self._per_source.most_common(1)
            loudest = next(each.client[0] for each in self._open if each.source == source)
            self._counts.crowded_out += len(chosen)
            self._tell(ConnectionsClosed(len(chosen), len(self._open), loudest, count))
        for connection in chosen:
            connection.error = "closed to make room for other connections"
            connection.abort()
        return bool(chosen)

    def _has_emergency(self, connection: Connection) -> bool:
        return any(self._is_urgent(datagram) for datagram in connection.latest)

    def _done(self, connection: Connection) -> None:
        if connection not in self._open:
            return
        del self._open[connection]
        self._per_source[connection.source] -= 1
        if not self._per_source[connection.source]:
            del self._per_source[connection.source]
        if connection.error is not None:
            if connection.was_connected:
                self._counts.broken += 1
            else:
                self._counts.not_reached += 1


def making_room(
    connections: Iterable[Connection],
    newcomer: int | None,
    most: int,
    now: float,
    is_urgent: Callable[[Connection], bool],
) -> list[Connection]:
    """Return the connections to close so that one more may be, which ``newcomer`` (a source) makes; none: refuse it.

    First those of which no message was ever let through; then those of greedy sources, for a newcomer of others even
    where they are not quiet; then quiet ones; of each the longest quiet. One that ``is_urgent``, as it has an emergency
    call, only where all are: who talks sends nothing, and is the longest quiet of all, so others go that are not quiet.
    """
    candidates = list(connections)
    greedy = {
        source for source, count in Counter(each.source for each in candidates).items() if count > most // GREEDY_SHARE
    }
    may_be_busy = set() if newcomer in greedy else greedy
    found = [
        each for each in candidates if not each.useful or now - each.last_active > QUIET_S or each.source in may_be_busy
    ]
    found.sort(key=lambda each: (each.useful, each.source not in greedy, each.last_active))
    count = 1 + most // 64
    spare = list(islice((each for each in found if not is_urgent(each)), count))
    if spare or not found or newcomer in greedy:
        return spare
    others = sorted(candidates, key=lambda each: each.last_active)
    return list(islice((each for each in others if not is_urgent(each)), 1)) or found[:count]


def _reset(accepted: Accepted) -> Datagram:
    """Reset a connection that could not be made, and return what is lost with it: what the client has said by now."""
    try:
        said = accepted.socket.recv(65536)
    except OSError:
        said = b""
    reset(accepted.socket)
    return Datagram(*accepted.client, *accepted.server, said, "TCP")


def _source(ip: str) -> int:
    """Return what counts as one source: an IPv4 address, or an IPv6 network of 64 bits (RFC 4291 §2.5.4)."""
    number = address_number(ip)
    return number if number >> 32 == IPV4_FIRST >> 32 else number >> 64 << 64


def _connections_allowed() -> int:
    """Return how many connections, of two descriptors each, there may be beside the sockets that send datagrams."""
    for_both = descriptors(SOURCES_MAX + 2 * CONNECTIONS_MAX)
    return max(16, min(CONNECTIONS_MAX, max(for_both // 4, (for_both - SOURCES_MAX) // 2)))
