"""The kernel's share of the firewall: the nftables table ``inet sosgate``, rendered whole, applied in one transaction.

While the daemon listens, ``tproxy`` hands it every signalling datagram that would have been forwarded. With no
listener ``tproxy`` breaks its rule, the packet goes on to the next, and there each zone's ``on_daemon_down`` decides.
All is decided in one chain, before routing, and known media first in it: each rule, and each chain, costs media.

Of TCP, ``tproxy`` gets what goes toward signalling ports, but for what follows on a connection of ours: that belongs to
a transparent socket and goes to this machine, from either side, also after the daemon has died: so the kernel ends in
order what died with it, and a new SYN finds its way as a datagram does. What follows on another connection goes to the
socket that listens. In a flood of SYNs, which the kernel answers with cookies, that one knows its own; a connection
that began while no daemon listened it resets, so that its client connects anew, as its calls would have no media; the
client's own reset goes on to the server, which would wait for it otherwise. What is sent back to a client that has a
signalling port itself, and reached another, is none of that: such clients are remembered (``other_streams``).

What routers say of our connections, and in IPv6 of datagrams that were too big for their links, is for our sockets: it
is we who send there, in the peer's name. Of other datagrams the peer itself is told, as it would be without us.

Media stays in the kernel (``media_chains.py``); its sets outlive the chains, which are replaced with each policy.

The input chain keeps away what was sent to the proxy port itself: the daemon would send it to itself, again and again.
What is handed over passes the rules of other programs, too: those for what comes in to this machine, which may drop
what they do not know, and those before routing, which may take its mark. Where a bridge asks all these rules
(br_netfilter), it loses the socket that ``tproxy`` has chosen. It is counted before and behind all that, so that a
loss is told (``handover``), but not where the kernel itself may drop it: for its source (a reverse path filter), or for
a source route.
"""

import contextlib
import errno
import re
import shutil
import struct
import subprocess

from firewall.errors import MachineError
from firewall.live import netlink
from firewall.live.media_chains import KNOWN_MEDIA_RULES, media_chains, media_sets
from firewall.live.netlink import NETFILTER, NFTABLES, NetlinkSocket, attribute, parts, refusal, text
from firewall.live.zone_match import quoted_names, zone_comment, zone_matches
from firewall.net.signalling import MESSAGE_PREFIXES
from firewall.ruleset.policy import Policy, Zone

TABLE = "sosgate"
PROXY_PORT = 505
"""Below 1024: whoever takes it first keeps the daemon from starting, and another user must not."""
HANDED_OVER = "handed_over"
TAKEN = "taken"
INTERCEPT_MARK = 0x505

_MARK = f"0x{INTERCEPT_MARK:x}"
_MARK_IT = f"meta mark set {_MARK}"
_TO_LISTENER_4 = f"meta l4proto tcp tproxy ip to 127.0.0.1:{PROXY_PORT} {_MARK_IT}"
_TO_LISTENER_6 = f"meta l4proto tcp tproxy ip6 to [::1]:{PROXY_PORT} {_MARK_IT}"
_NFT_TIMEOUT_S = 10  # less than a service manager waits for the end of a stop
_THE_TABLE = f"the nftables table inet {TABLE}"
_LAST = 10_000  # other programs' chains have priorities of some hundreds
_WITH_OPTIONS = "ip hdrlength > 5"
_COMES_FROM_WHERE_ITS_SOURCE_IS = "fib saddr . iif oif exists"
# The empty declarations before the delete and the flush let the scripts work whether or not the table is there.
_NO_TABLE = f"table inet {TABLE}\ndelete table inet {TABLE}"
_KEPT_TABLE = f"""\
table inet {TABLE} {{ set signalling_ports {{ type inet_service; }}; }}
flush table inet {TABLE}
flush set inet {TABLE} signalling_ports"""
# Not "socket mark": the kernel knows it no longer once a connection is in TIME_WAIT.
_OF_OUR_SOCKETS = "socket transparent 1"
_NEW_STREAM = "tcp flags & (fin | syn | rst | ack) == syn"
_GOES_ON = "tcp flags & (fin | syn | rst | ack) != syn"
_STREAM_4 = "ip saddr . tcp sport . ip daddr . tcp dport"
_STREAM_6 = _STREAM_4.replace("ip ", "ip6 ")
_STREAM_BACK_4 = "ip daddr . tcp dport . ip saddr . tcp sport"
_STREAM_BACK_6 = _STREAM_BACK_4.replace("ip ", "ip6 ")
# A SYN that nothing follows is forgotten soon, or a flood of them would leave no room. Another SYN comes after some
# seconds, and a usual TCP keep-alive after 2 h.
_OTHER_STREAMS = "flags dynamic,timeout; timeout 30s; size 65536;"
_GOES_ON_FOR = "timeout 3h"
_ICMP_ERRORS = "type { destination-unreachable, time-exceeded, parameter-problem }"
# The protocol of the packet that an error is about (RFC 792, RFC 4443 §2.4): its header follows after eight bytes.
_ABOUT_TCP = {4: "@th,136,8 6", 6: "@th,112,8 6"}
# <linux/netfilter/nf_tables.h>, <linux/netfilter.h>: NFT_MSG_DELTABLE, _GETTABLE, _GETCHAIN and _GETOBJ, NFTA_TABLE_*,
# NFTA_CHAIN_*, NFTA_OBJ_*, NFTA_COUNTER_PACKETS, NFT_TABLE_F_DORMANT, NFPROTO_INET.
_DELETE_TABLE, _INET = 2, 1
_GET_TABLE, _GET_CHAIN, _GET_OBJECT = NFTABLES << 8 | 1, NFTABLES << 8 | 4, NFTABLES << 8 | 19
_TABLE_NAME, _TABLE_FLAGS, _TABLE_HANDLE = 1, 2, 4
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_USE = 1, 3, 6
_OBJECT_TABLE, _OBJECT_NAME, _OBJECT_TYPE, _OBJECT_DATA, _COUNTER, _PACKETS = 1, 2, 3, 4, 1, 2
_DORMANT = 1
_HEADER = struct.pack("=BBH", _INET, 0, 0)
_THIS_TABLE = _HEADER + text(_TABLE_NAME, TABLE)
_FIRST_CHAIN = _HEADER + text(_CHAIN_TABLE, TABLE) + text(_CHAIN_NAME, "prerouting")
_A_COUNTER = _HEADER + text(_OBJECT_TABLE, TABLE) + attribute(_OBJECT_TYPE, struct.pack(">I", _COUNTER))


def zone_interfaces(policy: Policy) -> tuple[str, ...] | None:
    """Return the interfaces whose packets are looked at, sorted; None: every interface (a zone names none)."""
    if not policy.zones or any(not zone.interfaces for zone in policy.zones):
        return None
    return tuple(sorted({name for zone in policy.zones for name in zone.interfaces}))


def render_ruleset(policy: Policy, *, keep_flows: bool = False) -> str:
    """Return the nft script that replaces the whole table ``inet sosgate`` in one transaction.

    ``keep_flows``: the sets of media flows stay with what they hold; for a table that this version made.
    """
    ports = ", ".join(str(port) for port in sorted(policy.signalling_ports))
    prefixes = ", ".join(f"0x{prefix.hex()}" for prefix in MESSAGE_PREFIXES)
    interfaces = zone_interfaces(policy)
    elsewhere = 'iifname "lo"' if interfaces is None else f"iifname != {quoted_names(interfaces)}"
    zones = "\n".join(f"    {line}" for line in _daemon_down_rules(policy))
    filters_media = policy.media.mode != "off"
    known_media = "\n".join(f"    {rule}" for rule in KNOWN_MEDIA_RULES) if filters_media else ""
    return f"""\
{_KEPT_TABLE if keep_flows else _NO_TABLE}
table inet {TABLE} {{
  set signalling_ports {{
    type inet_service
    elements = {{ {ports} }}
  }}
  set other_streams4 {{ type ipv4_addr . inet_service . ipv4_addr . inet_service; {_OTHER_STREAMS} }}
  set other_streams6 {{ type ipv6_addr . inet_service . ipv6_addr . inet_service; {_OTHER_STREAMS} }}
  counter {HANDED_OVER} {{ }}
  counter {TAKEN} {{ }}
{media_sets(policy)}
  chain prerouting {{
    type filter hook prerouting priority mangle; policy accept;
{known_media}
    meta l4proto vmap {{ tcp : goto streams, icmp : goto icmp_errors, icmpv6 : goto icmp_errors }}
    {elsewhere} accept
    meta l4proto != udp accept
    fib daddr type != unicast accept
    ip6 saddr fe80::/10 accept
    ip6 daddr fe80::/10 accept
    udp dport @signalling_ports goto intercept
    udp sport @signalling_ports goto intercept
    @th,64,32 {{ {prefixes} }} goto intercept
    {"goto media" if filters_media else "accept"}
  }}
  chain intercept {{
    meta nfproto ipv4 meta l4proto udp tproxy ip to :{PROXY_PORT} {_MARK_IT} goto handed_over
    meta nfproto ipv6 meta l4proto udp tproxy ip6 to :{PROXY_PORT} {_MARK_IT} goto handed_over
    goto daemon_down
  }}
  chain streams {{
    {_GOES_ON} {_OF_OUR_SOCKETS} {_MARK_IT} accept
    {elsewhere} accept
    tcp dport != @signalling_ports goto other_streams
    tcp flags & rst == rst accept
    {_GOES_ON} {_STREAM_4} @other_streams4 accept
    {_GOES_ON} {_STREAM_6} @other_streams6 accept
    fib daddr type != unicast accept
    ip6 saddr fe80::/10 accept
    ip6 daddr fe80::/10 accept
    meta nfproto ipv4 {_TO_LISTENER_4} goto handed_over
    meta nfproto ipv6 {_TO_LISTENER_6} goto handed_over
    goto daemon_down
  }}
  chain other_streams {{
    tcp sport != @signalling_ports accept
    {_NEW_STREAM} update @other_streams4 {{ {_STREAM_BACK_4} }}
    {_NEW_STREAM} update @other_streams6 {{ {_STREAM_BACK_6} }}
    {_GOES_ON} {_STREAM_BACK_4} @other_streams4 update @other_streams4 {{ {_STREAM_BACK_4} {_GOES_ON_FOR} }}
    {_GOES_ON} {_STREAM_BACK_6} @other_streams6 update @other_streams6 {{ {_STREAM_BACK_6} {_GOES_ON_FOR} }}
  }}
  chain handed_over {{
    {_GOES_ON} accept
    {_WITH_OPTIONS} accept
    {_COMES_FROM_WHERE_ITS_SOURCE_IS} counter name {HANDED_OVER}
    accept
  }}
  chain icmp_errors {{
    icmp {_ICMP_ERRORS} {_ABOUT_TCP[4]} {_OF_OUR_SOCKETS} {_MARK_IT} accept
    icmpv6 {_ICMP_ERRORS} {_ABOUT_TCP[6]} {_OF_OUR_SOCKETS} {_MARK_IT} accept
    icmpv6 type packet-too-big {_OF_OUR_SOCKETS} {_MARK_IT} accept
  }}
  chain input {{
    type filter hook input priority filter; policy accept;
    udp dport {PROXY_PORT} meta mark != {_MARK} fib daddr type local counter drop comment "not intercepted"
  }}
  chain last_on_input {{
    type filter hook input priority {_LAST}; policy accept;
    meta mark != {_MARK} accept
    {_WITH_OPTIONS} accept
    meta l4proto udp socket mark {_MARK} {_COMES_FROM_WHERE_ITS_SOURCE_IS} counter name {TAKEN}
    {_NEW_STREAM} {_OF_OUR_SOCKETS} {_COMES_FROM_WHERE_ITS_SOURCE_IS} counter name {TAKEN}
  }}
{media_chains(policy)}
  chain daemon_down {{
{zones}
  }}
}}
"""


def render_last_ruleset() -> str:
    """Return the nft script for a clean stop: nothing new is intercepted, connections can still be ended in order."""
    return f"""\
{_NO_TABLE}
table inet {TABLE} {{
  chain prerouting {{
    type filter hook prerouting priority mangle; policy accept;
    meta l4proto tcp {_OF_OUR_SOCKETS} {_MARK_IT} accept
  }}
}}
"""


def apply_ruleset(script: str) -> None:
    """Apply an nft script as one transaction: all of it or nothing.

    Raises:
        MachineError: nft is missing, or the kernel refused.
    """
    program = shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin")
    if program is None:
        raise MachineError("set up", "the nftables table", "nft is not installed", needs="install nftables")
    try:
        done = subprocess.run(  # noqa: S603 (a fixed program; the script is rendered above)
            [program, "-f", "-"],
            input=script,
            capture_output=True,
            text=True,
            timeout=_NFT_TIMEOUT_S,
            check=False,
            start_new_session=True,  # Ctrl-C at the terminal is for us, it must not cut nft short
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        cause = error.strerror if isinstance(error, OSError) else f"it has not ended within {_NFT_TIMEOUT_S} s"
        raise MachineError("set up", _THE_TABLE, f"{program}: {cause}") from None
    if done.returncode == 0:
        return
    cause = next((line for line in done.stderr.splitlines() if line.strip()), f"exit status {done.returncode}")
    cause = re.sub(r"^\S*?: *Error: *|^Error: *", "", cause).strip()
    needs = "CAP_NET_ADMIN is needed in this network namespace" if "not permitted" in cause else None
    raise MachineError("set up", _THE_TABLE, cause, needs=needs)


def remove_table() -> None:
    """Remove the table if it is there; without nft, which may be what fails.

    Raises:
        MachineError: the kernel refused.
    """
    with contextlib.closing(NetlinkSocket(NETFILTER)) as kernel:
        try:
            kernel.send(
                netlink.batch(
                    [netlink.message(NFTABLES, _DELETE_TABLE, 0, 0, _THIS_TABLE[len(_HEADER) :], family=_INET)]
                )
            )
            refused = set(kernel.errors().values()) - {errno.ENOENT}
        except OSError as error:
            refused = {error.errno or 0}
    if refused:
        raise refusal("remove", _THE_TABLE, refused.pop())


def table_exists() -> bool:
    """Tell whether a table of ours is there, perhaps left by a run that was killed.

    Raises:
        MachineError: the kernel does not answer the question.
    """
    try:
        return _told(_GET_TABLE, _THIS_TABLE) is not None
    except OSError as error:
        raise refusal("read", _THE_TABLE, error.errno or 0) from None


def table_handle() -> int | None:
    """Return the number that the kernel gave the table when it was made, None where none of ours is at work: it is not
    there, it is put to sleep (``flags dormant``), or somebody has flushed its rules.

    Raises:
        OSError: the kernel does not answer the question.
    """
    table, chain = _told(_GET_TABLE, _THIS_TABLE), _told(_GET_CHAIN, _FIRST_CHAIN)
    if table is None or chain is None:
        return None
    is_dormant = int.from_bytes(table.get(_TABLE_FLAGS, b""), "big") & _DORMANT
    if is_dormant or not int.from_bytes(chain[_CHAIN_USE], "big"):
        return None
    return int.from_bytes(table[_TABLE_HANDLE], "big")


def counted(counter: str) -> int | None:
    """Return how many packets a counter of our table has counted, None where another program has removed it.

    Raises:
        OSError: the kernel does not answer the question.
    """
    found = _told(_GET_OBJECT, _A_COUNTER + text(_OBJECT_NAME, counter))
    return None if found is None else int.from_bytes(parts(found[_OBJECT_DATA])[_PACKETS], "big")


def _told(kind: int, body: bytes) -> dict[int, bytes] | None:
    """Return the attributes of what the kernel is asked for, None where there is no such thing."""
    try:
        return parts(netlink.answered(NETFILTER, kind, body), len(_HEADER))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise


def _daemon_down_rules(policy: Policy) -> list[str]:
    """Return one rule per zone and family, then what becomes of signalling that is in no zone.

    That follows its interface: it is dropped where every zone that lives there says ``block``.
    """
    rules = [rule for zone in policy.zones for rule in _zone_rules(zone)]
    blocked = _interfaces_of_blocking_zones_only(policy)
    if blocked is None:
        rules.append('counter drop comment "in no zone"')
    elif blocked:
        rules.append(f'iifname {quoted_names(blocked)} counter drop comment "in no zone"')
    rules.append('counter accept comment "in no zone"')
    return rules


def _zone_rules(zone: Zone) -> list[str]:
    verdict = "counter drop" if zone.on_daemon_down == "block" else "counter accept"
    return [f"{match}{verdict} {zone_comment(zone)}" for match in zone_matches(zone, "source")]


def _interfaces_of_blocking_zones_only(policy: Policy) -> tuple[str, ...] | None:
    """Return the interfaces on which every zone says ``block``; None when every zone there is says so."""
    if policy.zones and all(zone.on_daemon_down == "block" for zone in policy.zones):
        return None
    return tuple(
        name
        for name in zone_interfaces(policy) or ()
        if all(zone.on_daemon_down == "block" for zone in policy.zones if name in zone.interfaces)
    )
