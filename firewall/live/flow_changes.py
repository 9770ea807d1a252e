"""Changes of the kernel's elements, carried out together: all that the kernel takes, at once.

One that it refuses would spoil the others: it is left out, and they are sent again. What it was to replace stays, lest
the media of a call be refused for want of memory.
"""

import errno
from collections.abc import Collection, Iterator

import msgspec

from firewall.live.flow_messages import Found, delete_element, read_removed
from firewall.live.flow_sets import DROP_CHAIN, Element
from firewall.live.held_flow import Held
from firewall.live.netlink import ERROR, NetlinkSocket, batch, error_code, messages

_CHANGES_PER_TRANSACTION = 500


class Addition(msgspec.Struct, frozen=True):
    """An element is added, by this message."""

    data: bytes


class Removal(msgspec.Struct, frozen=True):
    """An element is removed from where the kernel has it; what cannot be removed has gone by itself.

    ``held`` goes on counting; it knew ``packets`` and ``octets`` of this element, whose packets went to ``chain``.
    """

    place: Element
    held: Held | None = None
    packets: int = 0
    octets: int = 0
    chain: str = ""

    @property
    def data(self) -> bytes:
        """The message that removes it."""
        return delete_element(self.place)

    def is_move(self) -> bool:
        """Tell whether the element's packets pass, or do not pass, as before where it is put then."""
        return self.held is not None and (self.chain == DROP_CHAIN) == (self.held.chain == DROP_CHAIN)

    def count_on(self, found: Found) -> None:
        """Take note of what it had counted when it ended."""
        if self.held is not None:
            self.held.add_ended(found.packets - self.packets, found.octets - self.octets)

    def undo(self) -> None:
        """Take note that the element is still there."""
        if self.held is not None:
            self.held.add_ended(-self.packets, -self.octets)
            self.held.count(self.packets, self.octets)
            self.held.chain = self.chain


Change = Addition | Removal


class Outcome(msgspec.Struct, frozen=True):
    """What came of changes: the errno of each addition that was refused, and whether any was carried out."""

    refused: tuple[int, ...]
    has_added: bool


def carry_out(kernel: NetlinkSocket, changes: list[Change]) -> Outcome:
    """Have the kernel carry out changes; it is done when this returns."""
    refused: list[int] = []
    has_added = False
    for left in _transactions(changes):
        while left:
            codes = _send(kernel, left)
            if not codes:
                has_added = has_added or any(isinstance(change, Addition) for change in left)
                break
            if 0 in codes:  # it is none of them that the kernel dislikes
                refused.extend([codes[0]] * len(left))
                for change in left:
                    if isinstance(change, Removal):
                        change.undo()
                break
            refused.extend(code for number, code in codes.items() if isinstance(left[number - 1], Addition))
            left = _without(left, codes)
    return Outcome(tuple(refused), has_added)


def _transactions(changes: list[Change]) -> Iterator[list[Change]]:
    """Give changes a part at a time; an element that moves is removed and added in the same."""
    start = 0
    while start < len(changes):
        end = start + _CHANGES_PER_TRANSACTION
        last = changes[min(end, len(changes)) - 1]
        if isinstance(last, Removal) and last.held is not None:
            end += 1
        yield changes[start:end]
        start = end


def _send(kernel: NetlinkSocket, changes: list[Change]) -> dict[int, int]:
    """Return what the kernel refused: number of the change → errno, 0 → the errno of all."""
    try:
        kernel.send(batch([change.data for change in changes]))
    except OSError as error:
        return {0: error.errno or errno.EIO}
    refused: dict[int, int] = {}
    removed: dict[Element, list[Removal]] = {}  # of one place in the order in which the kernel tells of them
    for change in changes:
        if isinstance(change, Removal):
            removed.setdefault(change.place, []).append(change)
    while (data := kernel.receive()) is not None:
        for kind, _, number, start, end in messages(data):
            if kind == ERROR and (code := error_code(data, start)):
                refused[number] = code
            for set_name, found in read_removed(kind, data, start, end):
                if told := removed.get(Element(set_name, found.key)):
                    told.pop(0).count_on(found)
    return refused


def _without(changes: list[Change], refused: Collection[int]) -> list[Change]:
    """Return the changes but those refused; an element stays that would only be moved, but not to where it should."""
    left: list[Change] = []
    for number, change in enumerate(changes, 1):
        if isinstance(change, Removal) and change.is_move() and number + 1 in refused and number not in refused:
            change.undo()
        elif number not in refused:
            left.append(change)
    return left
