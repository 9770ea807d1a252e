"""The testbed: three network namespaces, ``carrier ── c0·f0 [fw] f1·p0 ── psap``, for hand work, demo and tests.

Everything lives in the namespaces themselves (the veth pairs too), with documentation addresses (RFC 5737, RFC 3849).
A namespace of ours is known by the alias of its loopback interface, so that ``down`` never removes another's.
"""

import contextlib
import ctypes
import errno
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pyroute2 import IPRoute, netns
from pyroute2.netlink.exceptions import NetlinkError

from firewall.errors import MachineError, OperatorError

MARKER = "sosgate testbed"
NAMESPACES = ("carrier", "fw", "psap")

_LOOPBACK = 1  # its index in every namespace
_NAMESPACE_DIRECTORY = Path("/run/netns")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Link:
    """One end of a cable, in the namespace it is in. ``addresses`` with their prefix length."""

    namespace: str
    interface: str
    peer: str
    addresses: tuple[str, ...]


LINKS = (
    Link("fw", "f0", "c0", ("192.0.2.1/24", "2001:db8:1::1/64")),
    Link("carrier", "c0", "f0", ("192.0.2.10/24", "2001:db8:1::10/64", "203.0.113.66/32")),
    Link("fw", "f1", "p0", ("198.51.100.1/24", "2001:db8:2::1/64")),
    Link("psap", "p0", "f1", ("198.51.100.10/24", "2001:db8:2::10/64")),
)
# namespace, destination, next hop or interface
_ROUTES = (
    ("carrier", "0.0.0.0/0", "192.0.2.1"),
    ("carrier", "::/0", "2001:db8:1::1"),
    ("psap", "0.0.0.0/0", "198.51.100.1"),
    ("psap", "::/0", "2001:db8:2::1"),
    ("fw", "203.0.113.0/24", "f0"),
)
_CABLES = (("fw", "f0", "carrier", "c0"), ("fw", "f1", "psap", "p0"))
_SYSCTLS = {
    # Addresses are usable at once: no duplicate address detection.
    "*": {"ipv6/conf/all/accept_dad": "0", "ipv6/conf/default/accept_dad": "0", "ipv6/conf/default/dad_transmits": "0"},
    "fw": {"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"},
}


@dataclass(frozen=True, slots=True)
class NamespaceStatus:
    """One namespace of the testbed as it is now. ``state``: ours and there, not there, or somebody else's."""

    name: str
    state: Literal["up", "down", "foreign"]
    interfaces: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    processes: tuple[int, ...] = ()


def up(prefix: str = "") -> None:
    """Make the testbed; does nothing when it is there already. ``prefix`` goes before the namespaces' names.

    When one step fails, what was made before it is removed again.

    Raises:
        OperatorError: a namespace of that name exists and is not ours, or only a part of the testbed is there.
        MachineError: the kernel refused.
    """
    with _refused("make"), _signals_held():
        _ensure_namespace_directory()
        there = [status for status in _ours(prefix) if status.state == "up"]
        if len(there) == len(NAMESPACES):
            _refuse_missing_links(prefix, there)
            return
        if there:
            raise OperatorError(
                f"a part of the testbed is there already ({', '.join(status.name for status in there)})",
                next_step='run "sosgate testbed down" first',
            )
        with contextlib.ExitStack() as undo:
            for name in NAMESPACES:
                netns.create(prefix + name)
                undo.callback(netns.remove, prefix + name)
            _fill(prefix)
            undo.pop_all()


def _fill(prefix: str) -> None:
    for name in NAMESPACES:
        _write_sysctls(prefix, name)
    with contextlib.ExitStack() as opened:
        kernels = {name: opened.enter_context(IPRoute(netns=prefix + name)) for name in NAMESPACES}
        for kernel in kernels.values():
            kernel.link("set", index=_LOOPBACK, state="up", IFLA_IFALIAS=MARKER)
        for namespace, interface, peer_namespace, peer in _CABLES:
            other_end = {"ifname": peer, "net_ns_fd": prefix + peer_namespace}
            kernels[namespace].link("add", ifname=interface, kind="veth", peer=other_end)
        for link in LINKS:
            kernel = kernels[link.namespace]
            index = kernel.link_lookup(ifname=link.interface)[0]
            for text in link.addresses:
                address, _, length = text.partition("/")
                kernel.addr("add", index=index, address=address, prefixlen=int(length))
            kernel.link("set", index=index, state="up")
        for namespace, destination, via in _ROUTES:
            kernel = kernels[namespace]
            if "." in via or ":" in via:
                kernel.route("add", dst=destination, gateway=via)
            else:
                kernel.route("add", dst=destination, oif=kernel.link_lookup(ifname=via)[0], scope="link")


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Let Ctrl-C and the like wait until the testbed is whole or gone.

    pyroute2 forks to enter a namespace; a signal handler that raises would unwind our code a second time, in the child.
    """
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def down(prefix: str = "") -> tuple[str, ...]:
    """Remove the testbed, as far as it is there, and return the names of the namespaces removed.

    Raises:
        OperatorError: a namespace of that name exists and is not ours. Nothing is removed then.
        MachineError: the kernel refused.
    """
    there = [status.name for status in _ours(prefix) if status.state == "up"]
    with _refused("remove"), _signals_held():
        if (prefix + "fw") in there:
            # The cables go first: a namespace in which a program still runs would keep them.
            with IPRoute(netns=prefix + "fw") as kernel:
                for _, interface, _, _ in _CABLES:
                    for index in kernel.link_lookup(ifname=interface):
                        kernel.link("del", index=index)
        for name in there:
            netns.remove(name)
    return tuple(there)


def statuses(prefix: str = "") -> tuple[NamespaceStatus, ...]:
    """Return what is there of the testbed.

    Raises:
        MachineError: the kernel would not say.
    """
    with _refused("read"):
        return tuple(_status(prefix + name) for name in NAMESPACES)


def in_namespace(name: str, function: Callable[[], _T]) -> _T:
    """Call ``function`` in a thread of its own that has entered the named namespace, and return its result."""

    def enter_and_call() -> _T:
        netns.setns(name, flags=os.O_RDONLY)
        return function()

    with ThreadPoolExecutor(1, thread_name_prefix=f"in {name}") as thread:
        return thread.submit(enter_and_call).result()


def _status(name: str) -> NamespaceStatus:
    if not (_NAMESPACE_DIRECTORY / name).exists():
        return NamespaceStatus(name, "down")
    try:
        with IPRoute(netns=name) as netlink:
            links = {link["index"]: link for link in netlink.get_links()}
            addresses = tuple(
                f"{address.get('address')}/{address['prefixlen']}"
                for address in netlink.get_addr()
                if links[address["index"]].get("ifname") != "lo" and not str(address.get("address")).startswith("fe80")
            )
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EPERM):
            return NamespaceStatus(name, "foreign")  # a plain file, or one that this user may not enter
        raise
    names = tuple(sorted(str(link.get("ifname")) for link in links.values()))
    ours = any(link.get("ifname") == "lo" and link.get("ifalias") == MARKER for link in links.values())
    return NamespaceStatus(name, "up" if ours else "foreign", names, addresses, _processes_in(name))


def _processes_in(name: str) -> tuple[int, ...]:
    inode = (_NAMESPACE_DIRECTORY / name).stat().st_ino
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "ns" / "net").stat().st_ino == inode:
                    found.append(int(entry.name))
            except OSError:
                continue  # it ended, or is not ours to look at
    return tuple(sorted(found))


def _ours(prefix: str) -> tuple[NamespaceStatus, ...]:
    """Return what is there of the testbed, unless something of that name is another's."""
    current = statuses(prefix)
    for status in current:
        if status.state == "foreign":
            raise OperatorError(
                f'a network namespace "{status.name}" exists that sosgate did not make; it is left alone',
                next_step=f'rename or remove it first ("ip netns del {status.name}")',
            )
    return current


def _refuse_missing_links(prefix: str, current: list[NamespaceStatus]) -> None:
    there = {status.name: status.interfaces for status in current}
    missing = [link.interface for link in LINKS if link.interface not in there[prefix + link.namespace]]
    if missing:
        raise OperatorError(
            f"the testbed is there, but somebody removed {', '.join(missing)}",
            next_step='run "sosgate testbed down" first',
        )


def _ensure_namespace_directory() -> None:
    """Make /run/netns. Inside ``unshare -Urnm`` it is another user's: ours go on a tmpfs mounted over it."""
    try:
        _NAMESPACE_DIRECTORY.mkdir(parents=True, exist_ok=True)
        if os.access(_NAMESPACE_DIRECTORY, os.W_OK):
            return
        target = _NAMESPACE_DIRECTORY
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        target = _NAMESPACE_DIRECTORY.parent
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(target), b"tmpfs", 0, b"mode=755") != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(target))
    _NAMESPACE_DIRECTORY.mkdir(parents=True, exist_ok=True)


def _write_sysctls(prefix: str, name: str) -> None:
    settings = {**_SYSCTLS["*"], **_SYSCTLS.get(name, {})}

    def write() -> None:
        for key, value in settings.items():
            (Path("/proc/sys/net") / key).write_text(value)

    in_namespace(prefix + name, write)


@contextlib.contextmanager
def _refused(operation: str) -> Iterator[None]:
    """Word the kernel's refusal of what is done in it."""
    try:
        yield
    except (NetlinkError, OSError) as error:
        code = error.code if isinstance(error, NetlinkError) else error.errno
        cause = os.strerror(code) if isinstance(code, int) and code else str(error)
        needs = None
        if code in (errno.EPERM, errno.EACCES):
            needs = 'root is needed, or run it inside "unshare -Urnm" as an ordinary user'
        raise MachineError(operation, "the testbed's network namespaces", cause, needs=needs) from None
