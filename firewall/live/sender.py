"""Sending from the peer's own address: one unconnected transparent UDP socket for each source address and port.

A datagram leaves as a router would send it: one hop fewer, traffic class kept, in fragments where it is too long.
"""

import asyncio
import errno
import os
import resource
import socket
import sys
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from firewall.errors import MachineError
from firewall.live.netlink import enlarge_buffer
from firewall.live.routing import NOBODY
from firewall.live.transparent import OPTIONS, transparent_socket
from firewall.net.datagram import Datagram

SOURCES_MAX = 4096
WAITING_MAX = 4096
WAITING_S = 0.5  # T1 of RFC 3261 §17.1.1.1: later the peer sends it again anyway
DEFAULT_HOPS = 64

_RETRY_S = 0.001
_SEND_BUFFER_BYTES = 2 * 1024 * 1024
_DESCRIPTORS_KEPT_FREE = 256
_DESCRIPTORS_NEEDED = 64
_PMTUDISC_DONT = 0
_LATER = {errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM}

Source = tuple[str, int]
OnFailed = Callable[[Datagram, str], None]


class _SourceSocket:
    """The socket of one source, with what was last set on it."""

    __slots__ = ("_options", "hops", "sendto", "socket", "traffic_class")

    def __init__(self, source: Source) -> None:
        version = 6 if ":" in source[0] else 4
        self._options = OPTIONS[version]
        self.hops = -1
        self.traffic_class = 0
        self.socket = transparent_socket(version, socket.SOCK_DGRAM)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # the listener may have the port
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # it never receives
            enlarge_buffer(self.socket, "send", _SEND_BUFFER_BYTES)
            self.socket.setsockopt(self._options.level, self._options.path_mtu_discovery, _PMTUDISC_DONT)
            self.socket.bind(source)
        except OSError:
            self.socket.close()
            raise
        self.sendto = self.socket.sendto

    def set_hops(self, hops: int) -> None:
        self.socket.setsockopt(self._options.level, self._options.hops, hops)
        self.hops = hops

    def set_traffic_class(self, traffic_class: int) -> None:
        self.socket.setsockopt(self._options.level, self._options.traffic_class, traffic_class)
        self.traffic_class = traffic_class


@dataclass(frozen=True, slots=True)
class _Waiting:
    datagram: Datagram
    hops: int
    traffic_class: int
    give_up_at: float


class Sender:
    """Sends datagrams from their own source; what the machine will not take is told to ``on_failed``, never lost.

    A full send buffer is waited for, up to ``WAITING_S`` and ``WAITING_MAX`` datagrams (``waiting`` now); order per
    source is kept.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_failed: OnFailed) -> None:
        self._loop = loop
        self._on_failed = on_failed
        self._sources: OrderedDict[Source, _SourceSocket] = OrderedDict()
        self._sources_max = max(16, min(SOURCES_MAX, descriptors(SOURCES_MAX) // 2))  # the other half is for TCP
        self._waiting: dict[Source, deque[_Waiting]] = {}
        self.waiting = 0
        self._timer: asyncio.TimerHandle | None = None

    def forward(self, datagram: Datagram, hops: int, traffic_class: int) -> None:
        """Send a datagram on, as a router: ``hops`` is what it came with."""
        if hops <= 1:
            # Without this a routing loop would circle for ever: each turn through here would be a new packet.
            self._on_failed(datagram, "no hop left (TTL exceeded), as in a routing loop")
            return
        self.send(datagram, hops - 1, traffic_class)

    def send(self, datagram: Datagram, hops: int = DEFAULT_HOPS, traffic_class: int = 0) -> None:
        """Send a datagram from ``src_ip:src_port`` to ``dst_ip:dst_port``."""
        source = (datagram.src_ip, datagram.src_port)
        if self.waiting and source in self._waiting:
            self._wait(source, datagram, hops, traffic_class)
            return
        try:
            self._send_now(source, datagram, hops, traffic_class)
        except OSError as error:
            if error.errno in _LATER:
                self._wait(source, datagram, hops, traffic_class)
            else:
                self._on_failed(datagram, error_words(error))

    def close(self) -> None:
        """Close every socket; what still waits is told as failed."""
        if self._timer is not None:
            self._timer.cancel()
        for queue in self._waiting.values():
            for waiting in queue:
                self._on_failed(waiting.datagram, "the firewall stopped before the send buffer had room")
        self._waiting.clear()
        self.waiting = 0
        for source_socket in self._sources.values():
            source_socket.socket.close()
        self._sources.clear()

    def _send_now(self, source: Source, datagram: Datagram, hops: int, traffic_class: int) -> None:
        source_socket = self._sources.get(source)
        if source_socket is None:
            source_socket = self._open(source)
        else:
            self._sources.move_to_end(source)
        if source_socket.hops != hops:
            source_socket.set_hops(hops)
        if source_socket.traffic_class != traffic_class:
            source_socket.set_traffic_class(traffic_class)
        source_socket.sendto(datagram.payload, (datagram.dst_ip, datagram.dst_port))

    def _open(self, source: Source) -> _SourceSocket:
        if len(self._sources) >= self._sources_max:
            self._close_oldest(1)
        try:
            opened = _SourceSocket(source)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE) or not self._sources:
                raise
            self._close_oldest(max(1, len(self._sources) // 2))
            opened = _SourceSocket(source)
        self._sources[source] = opened
        return opened

    def _close_oldest(self, count: int) -> None:
        for _ in range(count):
            _, oldest = self._sources.popitem(last=False)
            oldest.socket.close()

    def _wait(self, source: Source, datagram: Datagram, hops: int, traffic_class: int) -> None:
        if self.waiting >= WAITING_MAX:
            self._on_failed(datagram, f"the send buffer is full and {WAITING_MAX} datagrams wait already")
            return
        give_up_at = self._loop.time() + WAITING_S
        self._waiting.setdefault(source, deque()).append(_Waiting(datagram, hops, traffic_class, give_up_at))
        self.waiting += 1
        if self._timer is None:
            self._timer = self._loop.call_later(_RETRY_S, self._retry)

    def _retry(self) -> None:
        self._timer = None
        for source in list(self._waiting):
            queue = self._waiting[source]
            while queue:
                waiting = queue[0]
                failure = None
                try:
                    self._send_now(source, waiting.datagram, waiting.hops, waiting.traffic_class)
                except OSError as error:
                    if error.errno in _LATER and self._loop.time() < waiting.give_up_at:
                        break
                    failure = error_words(error)
                queue.popleft()
                self.waiting -= 1
                if failure is not None:
                    self._on_failed(waiting.datagram, failure)
            if not queue:
                del self._waiting[source]
        if self._waiting and self._timer is None:
            self._timer = self._loop.call_later(_RETRY_S, self._retry)


def can_send_from(port: int) -> bool:
    """Tell whether no other program has a peer's port on every address of this machine, so that it cannot be bound."""
    try:
        for nobody in NOBODY.values():
            _SourceSocket((nobody, port)).socket.close()
    except OSError as error:
        return error.errno != errno.EADDRINUSE
    return True


def error_words(error: OSError) -> str:
    """Return what the machine says of why it refused: its words for the number, or the error's own without one."""
    return os.strerror(error.errno) if error.errno else str(error)


def descriptors(wanted: int) -> int:
    """Raise the soft limit of open files as far as allowed and ``wanted``; return how many there may be.

    Raises:
        MachineError: there may be fewer than the daemon needs by itself.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted += _DESCRIPTORS_KEPT_FREE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if resource.RLIM_INFINITY != soft < _DESCRIPTORS_NEEDED:
        needs = 'it needs more, as by "ulimit -n 32768" (LimitNOFILE)'
        raise MachineError("start", "sosgate", f"no more than {soft} files may be open at once here", needs=needs)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft - _DESCRIPTORS_KEPT_FREE
