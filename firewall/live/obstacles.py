"""What in the kernel would look at forwarded packets beside us: tables of others, policy rules, IPsec, IPVS."""

import errno
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from firewall.live.netlink import NETFILTER, NFTABLES, ROUTE, XFRM, answered, listed, parts
from firewall.live.nftables import INTERCEPT_MARK
from firewall.live.routing import ROUTE_TABLE, RULE_PRIORITY

_PROC_NET = Path("/proc/thread-self/net")  # /proc/net is that of the process' first thread

# <linux/netfilter/nf_tables.h>, <linux/netfilter.h>: NFT_MSG_GETCHAIN, NFTA_CHAIN_*, NFTA_HOOK_HOOKNUM, NFPROTO_*.
_GET_CHAIN = NFTABLES << 8 | 4
_CHAIN_TABLE, _CHAIN_HOOK, _HOOK_NUMBER = 1, 4, 1
_NETFILTER_HEADER_BYTES = 4
_PREROUTING, _FORWARD, _POSTROUTING, _INET_INGRESS = 0, 2, 4, 5
_INGRESS, _EGRESS = 0, 1  # of family netdev
_HOOKS_MET = {
    1: ("inet", {_PREROUTING, _FORWARD, _POSTROUTING, _INET_INGRESS}),
    2: ("ip", {_PREROUTING, _FORWARD, _POSTROUTING}),
    5: ("netdev", {_INGRESS, _EGRESS}),
    10: ("ip6", {_PREROUTING, _FORWARD, _POSTROUTING}),
}

# <linux/fib_rules.h>: RTM_GETRULE, struct fib_rule_hdr, FRA_*.
_GET_RULE = 34
_RULE = struct.Struct("=BBBBBBBBI")  # family, dst_len, src_len, tos, table, -, -, action, flags
_PRIORITY, _MARK, _SUPPRESS_PREFIX, _TABLE, _MASK, _PADDING, _PROTOCOL = 6, 10, 14, 15, 16, 18, 21
_RULE_FAMILIES = (2, 10)  # AF_INET, AF_INET6; the others are multicast routing's
_LOOK_UP = 1  # FR_ACT_TO_TBL
_PREFIX_KEPT = 0xFFFFFFFF
_KNOWN_RULES: tuple[dict[int, int], ...] = (
    {_PRIORITY: 0, _TABLE: 255},  # local
    {_PRIORITY: 32766, _TABLE: 254},  # main
    {_PRIORITY: 32767, _TABLE: 253},  # default
    {_PRIORITY: RULE_PRIORITY, _TABLE: ROUTE_TABLE, _MARK: INTERCEPT_MARK, _MASK: 0xFFFFFFFF},
)

# <linux/xfrm.h>: XFRM_MSG_GETSPDINFO, XFRM_MSG_GETDEFAULT, struct xfrmu_spdinfo, struct xfrm_userpolicy_default.
_GET_POLICY_COUNTS, _GET_DEFAULT_POLICIES = 0x25, 0x28
_FLAGS_BYTES = 4
_POLICY_COUNTS = 1  # XFRMA_SPD_INFO
_BLOCK = 1  # XFRM_USERPOLICY_BLOCK


def obstacle(our_tables: frozenset[str]) -> str:
    """Return the first thing found in this thread's network namespace as a clause, "" for none.

    ``our_tables``: the nftables tables that are none, as ``inet sosgate``. What the kernel does not tell is one.
    """
    questions: tuple[tuple[str, Callable[[], str]], ...] = (
        ("nftables chains", lambda: _foreign_chain(our_tables)),
        ("iptables tables", _iptables_table),
        ("policy rules", _foreign_rule),
        ("IPsec policies", _ipsec_policy),
        ("IPVS services", _virtual_service),
    )
    for what, question in questions:
        try:
            found = question()
        except OSError as error:
            found = f"the kernel does not tell its {what} ({error.strerror})"
        if found:
            return found
    return ""


def _foreign_chain(our_tables: frozenset[str]) -> str:
    for answer in listed(NETFILTER, _GET_CHAIN, bytes(_NETFILTER_HEADER_BYTES)):
        family, hooks = _HOOKS_MET.get(answer[0], ("", set()))
        chain = parts(answer, _NETFILTER_HEADER_BYTES)
        table = f"{family} {chain.get(_CHAIN_TABLE, b'').rstrip(bytes(1)).decode(errors='replace')}"
        hook = parts(chain.get(_CHAIN_HOOK, b"")).get(_HOOK_NUMBER)
        if hook is not None and int.from_bytes(hook, "big") in hooks and table not in our_tables:
            return f'the nftables table "{table}" looks at forwarded packets, too'
    return ""


def _iptables_table() -> str:
    for program, file in (("iptables", "ip_tables_names"), ("ip6tables", "ip6_tables_names")):
        for table in _lines(file):
            return f'{program} has the table "{table}"'
    return ""


def _foreign_rule() -> str:
    for answer in listed(ROUTE, _GET_RULE, bytes(_RULE.size)):
        family, dst_len, src_len, tos, _, _, _, action, flags = _RULE.unpack_from(answer)
        if family in _RULE_FAMILIES:
            rule = {kind: int.from_bytes(value, sys.byteorder) for kind, value in parts(answer, _RULE.size).items()}
            rule = {_PRIORITY: 0} | {kind: value for kind, value in rule.items() if kind not in (_PADDING, _PROTOCOL)}
            if rule.get(_SUPPRESS_PREFIX) == _PREFIX_KEPT:
                del rule[_SUPPRESS_PREFIX]
            if action != _LOOK_UP or dst_len or src_len or tos or flags or rule not in _KNOWN_RULES:
                return f"the policy rule {rule[_PRIORITY]}"
    return ""


def _ipsec_policy() -> str:
    try:
        answer = answered(XFRM, _GET_POLICY_COUNTS, bytes(_FLAGS_BYTES))
    except OSError as error:
        if error.errno == errno.EPROTONOSUPPORT:
            return ""  # this kernel has no IPsec
        raise
    if any(parts(answer, _FLAGS_BYTES).get(_POLICY_COUNTS, b"")):
        return "there are IPsec policies"
    try:
        defaults = answered(XFRM, _GET_DEFAULT_POLICIES, bytes(4))
    except OSError as error:
        if error.errno == errno.EINVAL:
            return ""  # before Linux 5.15 nothing was blocked by default
        raise
    return "IPsec blocks what no policy allows" if _BLOCK in defaults[:3] else ""


def _virtual_service() -> str:
    services = (line for line in _lines("ip_vs") if line.split(" ")[0] in ("TCP", "UDP", "SCTP", "FWM"))
    return "IPVS has a virtual service" if any(services) else ""


def _lines(file: str) -> Iterator[str]:
    """Give the lines of a file of the kernel about this network namespace; none where there is no such file."""
    try:
        yield from (_PROC_NET / file).read_text().splitlines()
    except FileNotFoundError:
        return
