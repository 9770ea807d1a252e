"""Tells that the way packets take may have changed: links, addresses, routes, rules, forwarding (rtnetlink(7))."""

import contextlib
import errno

from firewall.live.netlink import ROUTE, open_netlink, refusal

# RTNLGRP_*: LINK, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, the same of IPv6, IPV4_NETCONF, IPV6_NETCONF, NEXTHOP.
_GROUPS = (1, 5, 7, 8, 9, 11, 19, 24, 25, 32)
_LARGEST_READ_BYTES = 64 * 1024


class RouteChanges:
    """A netlink socket that can be read once something has changed since the last ``drain``.

    Path MTUs that the kernel learns, tables of netfilter and IPsec policies are not told.

    Raises:
        MachineError: the kernel refuses it.
    """

    def __init__(self) -> None:
        try:
            with contextlib.ExitStack() as opened:
                self._socket = opened.enter_context(open_netlink(ROUTE))
                self._socket.bind((0, sum(1 << (group - 1) for group in _GROUPS)))
                opened.pop_all()
        except OSError as error:
            raise refusal("listen to", "changes of routes", error.errno or 0) from None

    def fileno(self) -> int:
        """Return the descriptor, for the event loop."""
        return self._socket.fileno()

    def drain(self) -> bool:
        """Read all that waits; tell whether anything changed. More than the socket could hold is a change, too."""
        changed = False
        while True:
            try:
                changed |= bool(self._socket.recv(_LARGEST_READ_BYTES))
            except BlockingIOError:
                return changed
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                changed = True

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()
