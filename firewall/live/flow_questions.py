"""What the kernel is asked about the sets of media flows, and what it answers."""

from collections.abc import Iterator, Sequence

from firewall.live.flow_messages import (
    Found,
    ask_for_element,
    ask_for_elements,
    is_elements,
    read_elements,
)
from firewall.live.flow_sets import Element
from firewall.live.netlink import DONE, ERROR, NetfilterSocket, messages, numbered

_ASKED_AT_ONCE = 100
_BUFFER_BYTES = 4 * 1024 * 1024


class FlowQuestions:
    """Asks by sockets of its own; the kernel has answered when a question was sent. While a set is told part by part,
    anything but another set may be asked.

    Raises:
        MachineError: the kernel gives no netlink socket.
    """

    def __init__(self) -> None:
        self._listing = NetfilterSocket(receive_bytes=_BUFFER_BYTES)
        self._socket = NetfilterSocket(receive_bytes=_BUFFER_BYTES)

    def close(self) -> None:
        """Ask no more."""
        self._listing.close()
        self._socket.close()

    def elements(self, set_name: str, *, whole: bool = False) -> Iterator[list[Found]]:
        """Give the elements of a set, in the parts in which the kernel tells them; none where there is no such set."""
        for data in self._listed(ask_for_elements(set_name)):
            yield [
                found
                for kind, _, start, end in messages(data)
                if is_elements(kind)
                for found in read_elements(data, start, end, whole=whole)
            ]

    def counted(self, places: Sequence[Element]) -> Iterator[tuple[int, Found]]:
        """Give what is found of a few elements, each with its number in ``places``.

        As many are asked for with one call as the kernel's answers find room.
        """
        for first in range(0, len(places), _ASKED_AT_ONCE):
            asked = places[first : first + _ASKED_AT_ONCE]
            self._socket.send(numbered([ask_for_element(place) for place in asked]))
            while (data := self._socket.receive()) is not None:
                for kind, number, start, end in messages(data):
                    if is_elements(kind) and 0 < number <= len(asked):
                        yield from ((first + number - 1, found) for found in read_elements(data, start, end))

    def _listed(self, question: bytes) -> Iterator[bytes]:
        while self._listing.receive() is not None:
            pass  # the rest of an answer that was not heard out, during which the kernel takes no other question
        self._listing.send(question)
        is_last = False
        while not is_last:
            data = self._listing.receive()
            is_last = data is None or any(kind in (DONE, ERROR) for kind, *_ in messages(data))
            yield data or b""
