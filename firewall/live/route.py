"""Which interface leads to an address: one question to the kernel's routing table (rtnetlink(7), RTM_GETROUTE)."""

import contextlib
import socket
import struct

_RTM_NEWROUTE = 24
_RTM_GETROUTE = 26
_NLM_F_REQUEST = 1
_RTA_DST = 1
_RTA_OIF = 4
_HEADER = struct.Struct("=LHHLL")
_ROUTE = struct.Struct("=BBBBBBBBL")
_ATTRIBUTE = struct.Struct("=HH")
_INDEX = struct.Struct("=L")
_REMEMBERED = 4096


class RouteLookup:
    """Asks and remembers, until ``forget``. Answers 0 where the kernel names no interface."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        self._known: dict[str, int] = {}
        self._sequence = 0

    def close(self) -> None:
        """Ask no more."""
        self._socket.close()

    def forget(self) -> None:
        """Routes may have changed."""
        self._known.clear()

    def interface_toward(self, address: str) -> int:
        """Return the index of the interface by which packets to this address leave."""
        index = self._known.get(address)
        if index is None:
            index = 0
            with contextlib.suppress(OSError):
                index = self._ask(address)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[address] = index
        return index

    def _ask(self, address: str) -> int:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        packed = socket.inet_pton(family, address)
        body = _ROUTE.pack(family, 8 * len(packed), 0, 0, 0, 0, 0, 0, 0)
        body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(packed), _RTA_DST) + packed
        self._sequence += 1
        header = _HEADER.pack(_HEADER.size + len(body), _RTM_GETROUTE, _NLM_F_REQUEST, self._sequence, 0)
        self._socket.send(header + body)
        while True:
            # The kernel has answered by the time send() returns; an answer of an earlier, failed question is skipped.
            answer = self._socket.recv(65536)
            _, kind, _, sequence, _ = _HEADER.unpack_from(answer)
            if sequence == self._sequence:
                return _outgoing_interface(answer) if kind == _RTM_NEWROUTE else 0


def _outgoing_interface(answer: bytes) -> int:
    offset = _HEADER.size + _ROUTE.size
    while offset + _ATTRIBUTE.size <= len(answer):
        length, kind = _ATTRIBUTE.unpack_from(answer, offset)
        if length < _ATTRIBUTE.size:
            break
        if kind == _RTA_OIF:
            return int(_INDEX.unpack_from(answer, offset + _ATTRIBUTE.size)[0])
        offset += (length + 3) & ~3
    return 0
