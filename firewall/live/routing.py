"""Policy routing: marked packets are delivered to this machine, whoever they are addressed to.

One rule (``fwmark 0x505 lookup 505``) and one route (``local default dev lo table 505``) for each family. Only exactly
these are ever added or removed; what others keep in the same table stays.
"""

import errno
import socket
import struct
from typing import Literal

from firewall.live.links import interface_names, setting
from firewall.live.netlink import CREATE, EXCLUSIVE, ROUTE, answered, attribute, refusal, told
from firewall.live.nftables import INTERCEPT_MARK

ROUTE_TABLE = 505
RULE_PRIORITY = 505
NOBODY = {4: "240.0.0.1", 6: "100::1"}
"""Addresses that nobody has (RFC 1112 §4, RFC 6666)."""

_OURS = f"the policy route of table {ROUTE_TABLE}"
_LOOPBACK = 1  # its index in every network namespace, whatever it is called
_NEEDS = {
    errno.ENETDOWN: 'the loopback interface is down here: "ip link set lo up"',
    errno.EACCES: 'the loopback interface has no IPv6 here: "sysctl net.ipv6.conf.lo.disable_ipv6=0"',
}
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
Added = tuple[Literal["rule", "route"], int]
EVERYTHING: list[Added] = [("rule", 4), ("route", 4), ("rule", 6), ("route", 6)]

# <linux/rtnetlink.h>: RTM_*, struct rtmsg, RTA_*, RTPROT_STATIC, RT_SCOPE_HOST, RTN_LOCAL.
_NEW = {"route": 24, "rule": 32}
_DELETE = {"route": 25, "rule": 33}
GET_ROUTE = 26
ROUTE_MESSAGE = struct.Struct("=BBBBBBBBL")  # family, dst_len, src_len, tos, table, protocol, scope, type, flags
_DST, _OUT, _TABLE, _MARK = 1, 4, 15, 16
_STATIC, _HOST, _LOCAL = 4, 254, 2
# <linux/fib_rules.h>: FRA_*, FR_ACT_TO_TBL; struct fib_rule_hdr is a struct rtmsg with the action as its type.
_RULE_PRIORITY, _RULE_MARK, _TO_TABLE = 6, 10, 1
# The kernel's words for a packet that leads nowhere.
_NOWHERE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL}


_GONE = {errno.ENOENT, errno.ESRCH, errno.ENODEV, errno.EAFNOSUPPORT}


def set_up_routes(families: tuple[int, ...]) -> list[Added]:
    """Add rule and route for each IP version in ``families``, unless it is switched off here; what an earlier run left
    is taken over as it is.

    Returns what was not there before. When one cannot be added, those added before it are removed again.

    Raises:
        MachineError: the kernel refused.
    """
    added: list[Added] = []
    try:
        for kind, version in EVERYTHING:
            if version in families and not is_switched_off(version) and _add(kind, version):
                added.append((kind, version))
    except OSError as error:
        remove_routes(added[::-1])
        code = error.errno or 0
        raise refusal("set up", _OURS, code, _NEEDS.get(code)) from None
    return added


def remove_routes(only: list[Added] | None = None) -> None:
    """Remove our rule and route of both families, or ``only`` some of them, as far as they are there.

    Raises:
        MachineError: the kernel refused.
    """
    for kind, version in EVERYTHING if only is None else only:
        try:
            told(ROUTE, _DELETE[kind], 0, _message(kind, version))
        except OSError as error:
            if error.errno not in _GONE:
                raise refusal("remove", _OURS, error.errno or 0) from None


def is_delivered_here(version: int) -> bool:
    """Tell whether marked packets of an IP version are delivered to this machine, whoever they are addressed to.

    Raises:
        OSError: the kernel does not answer the question.
    """
    address = socket.inet_pton(_FAMILIES[version], NOBODY[version])
    asked = ROUTE_MESSAGE.pack(_FAMILIES[version], 8 * len(address), 0, 0, 0, 0, 0, 0, 0)
    asked += attribute(_DST, address) + attribute(_MARK, struct.pack("=I", INTERCEPT_MARK))
    try:
        answer = answered(ROUTE, GET_ROUTE, asked)
    except OSError as error:
        if error.errno in _NOWHERE:
            return False
        raise
    return int(ROUTE_MESSAGE.unpack_from(answer)[7]) == _LOCAL


def is_switched_off(version: int) -> bool:
    """Tell whether no interface of this network namespace has an IP version, as after ``sysctl disable_ipv6=1``."""
    # One that is not there has none, either: this kernel has no IPv6, or the interface has just gone.
    return version == 6 and all(
        setting(f"ipv6/conf/{name}/disable_ipv6") in ("1", None) for name in interface_names().values()
    )


def _add(kind: str, version: int) -> bool:
    """Add one rule or route; False when it is there."""
    try:
        told(ROUTE, _NEW[kind], CREATE | EXCLUSIVE, _message(kind, version))
    except OSError as error:
        if error.errno == errno.EEXIST:
            return False
        raise
    return True


def _message(kind: str, version: int) -> bytes:
    """Return what tells the kernel which rule or route is meant."""
    told_by = {_TABLE: ROUTE_TABLE}
    if kind == "rule":
        header = ROUTE_MESSAGE.pack(_FAMILIES[version], 0, 0, 0, 0, 0, 0, _TO_TABLE, 0)
        told_by |= {_RULE_MARK: INTERCEPT_MARK, _RULE_PRIORITY: RULE_PRIORITY}
    else:
        header = ROUTE_MESSAGE.pack(_FAMILIES[version], 0, 0, 0, 0, _STATIC, _HOST, _LOCAL, 0)
        told_by |= {_OUT: _LOOPBACK}
    return header + b"".join(attribute(each, struct.pack("=I", value)) for each, value in told_by.items())
