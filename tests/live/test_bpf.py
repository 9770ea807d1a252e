"""Maps and programs, with the kernel that takes them."""

import errno
import os
import socket
from itertools import chain

import pytest

from firewall.live import bpf
from firewall.live.bpf import BpfMap, Code, attach, load, program_id, programs_behind
from firewall.live.testbed import in_namespace
from tests.live.conftest import Namespaces, machine_root

pytestmark = [pytest.mark.netns, machine_root]


def test_what_was_put_into_a_map_is_there_until_it_is_popped() -> None:
    made = BpfMap(4, 8, 2)
    made.put(b"key1", b"value--1")
    made.put(b"key1", b"value--2")
    made.put(b"key2", b"value--3")
    assert sorted(chain.from_iterable(made.parts())) == [(b"key1", b"value--2"), (b"key2", b"value--3")]
    with pytest.raises(OSError, match="Argument list too long"):
        made.put(b"key3", b"value--4")
    assert (made.get(b"key1"), made.pop(b"key1"), made.pop(b"key1"), made.get(b"key1")) == (
        b"value--2",
        b"value--2",
        None,
        None,
    )
    assert list(chain.from_iterable(made.parts())) == [(b"key2", b"value--3")]
    made.close()


def test_a_program_that_the_kernel_cannot_prove_is_refused() -> None:
    code = Code()
    code.load(0, 4, 1, 4000)  # beyond what a program begins with
    code.exit()
    with pytest.raises(OSError, match="Permission denied"):
        load(code.assembled())


def test_instructions_are_those_of_the_instruction_set() -> None:
    """RFC 9669, sections 3 to 5."""
    code = Code()
    code.label("begin")
    code.do(0, "=", -1)
    code.load(2, 2, 6, 16)
    code.go_if(2, "==", 8, "begin")
    code.exit()
    assert code.assembled().hex(" ", 8) == "b7000000ffffffff 6962100000000000 1502fdff08000000 9500000000000000"


def test_a_link_that_is_not_there_takes_no_program() -> None:
    code = Code()
    code.do(0, "=", -1)
    code.exit()
    loaded = load(code.assembled())
    with pytest.raises(OSError, match=os.strerror(errno.ENODEV)):
        attach(loaded, 2_000_000_000)
    os.close(loaded)


def test_who_is_attached_behind_a_link_is_told(testbed: Namespaces) -> None:
    code = Code()
    code.do(0, "=", -1)
    code.exit()
    programs = [load(code.assembled()) for _ in range(2)]

    def attached() -> None:
        link = socket.if_nametoindex("f0")
        assert programs_behind(link) == set()
        ends = [attach(program, link) for program in programs]
        assert programs_behind(link) == {program_id(program) for program in programs}
        assert programs_behind(socket.if_nametoindex("f1")) == set()
        os.close(ends[0])
        assert programs_behind(link) == {program_id(programs[1])}
        os.close(ends[1])
        assert programs_behind(link) == set()

    in_namespace(testbed.fw, attached)
    with pytest.raises(OSError, match=os.strerror(errno.ENODEV)):
        programs_behind(2_000_000_000)
    for program in programs:
        os.close(program)
    with pytest.raises(OSError, match="descriptor"):
        program_id(programs[0])


def test_on_a_machine_of_another_kind_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "vax")
    with pytest.raises(OSError, match=os.strerror(errno.ENOSYS)):
        bpf.call(0, b"")
