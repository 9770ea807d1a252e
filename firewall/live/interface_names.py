"""The names of interfaces, by the index that the kernel tells with a packet."""

import errno
import socket


class InterfaceNames:
    """Asks for each name once, until ``forget``."""

    def __init__(self) -> None:
        self._known: dict[int, str | None] = {}
        self._past: dict[int, str | None] = {}

    def name(self, index: int) -> str | None:
        """Return a name, None where there is no such interface; where the machine does not tell, the one it had."""
        if index not in self._known:
            try:
                self._known[index] = socket.if_indextoname(index)
            except OSError as error:
                if error.errno != errno.ENXIO:  # as it has no more open files: it is asked again
                    return self._past.get(index)
                self._known[index] = None
        return self._known[index]

    def forget(self) -> None:
        """Ask anew: an interface may have been renamed."""
        self._past |= self._known
        self._known.clear()
