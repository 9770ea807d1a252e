"""An interface's name is asked for once, and again when it may be another."""

import errno
import socket
import subprocess

import pytest

from firewall.live.links import InterfaceNames
from firewall.live.testbed import in_namespace
from tests.live.conftest import Namespaces


def test_a_name_is_known_until_it_is_forgotten_and_kept_where_the_machine_does_not_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: dict[int, str | OSError] = {1: "lo", 2: "f0"}

    def ask(index: int) -> str:
        match told.get(index, OSError(errno.ENXIO, "")):
            case str(name):
                return name
            case error:
                raise error

    monkeypatch.setattr(socket, "if_indextoname", ask)
    names = InterfaceNames()
    assert [names.name(index) for index in (1, 2, 3, 0)] == ["lo", "f0", None, None]
    told |= {2: "f9", 3: OSError(errno.ENFILE, "")}
    assert names.name(2) == "f0"
    names.forget()
    assert [names.name(2), names.name(3)] == ["f9", None]
    told[2], told[3] = OSError(errno.EMFILE, ""), "f3"
    names.forget()
    assert [names.name(2), names.name(3)] == ["f9", "f3"]


@pytest.mark.netns
def test_the_kernel_names_an_interface_and_none_that_is_not_there(testbed: Namespaces) -> None:
    def named() -> list[str | None]:
        subprocess.run(["ip", "link", "add", "d0", "type", "veth", "peer", "name", "d9"], check=True)
        index, names = socket.if_nametoindex("d0"), InterfaceNames()
        before = names.name(index)
        subprocess.run(["ip", "link", "set", "d0", "name", "d1"], check=True)
        names.forget()
        after = names.name(index)
        subprocess.run(["ip", "link", "del", "d1"], check=True)
        names.forget()
        return [before, after, names.name(index), names.name(0)]

    assert in_namespace(testbed.fw, named) == ["d0", "d1", None, None]
