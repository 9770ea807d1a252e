"""The kernel's bpf(2): maps, and programs at the ingress of links (TCX, since Linux 6.6), written instruction by
instruction.

There is no library for this that needs no compiler. The kernel proves each program before it takes it: that it ends,
and reads and writes nothing but the packet, its map and its stack. What a program is attached by, and the maps it has,
are open files: with the process that opened them they are gone, however it ends.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator
from typing import Literal

_CALL_NUMBERS = {"x86_64": 321, "aarch64": 280}
# <linux/bpf.h>: BPF_MAP_CREATE and the like, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, BPF_PROG_TYPE_SCHED_CLS,
# BPF_TCX_INGRESS, BPF_MPROG_MAX.
_CREATE_MAP, _GET, _PUT, _LOAD, _DESCRIBE, _QUERY, _POP, _READ_MANY, _ATTACH = 0, 1, 2, 5, 15, 16, 21, 24, 28
_HASH, _AS_NEEDED = 1, 1
_AT_LINKS, _INGRESS = 3, 46
_PROGRAMS_OF_A_LINK = 64
_LICENSE = ctypes.create_string_buffer(b"Apache-2.0")
_READ_AT_ONCE = 512  # not fewer than may stand in one place of the hash
_INSTRUCTION = struct.Struct("=BBhi")  # code, registers, offset, value
_MANY = struct.Struct("=QQQQIIQQ")  # from, to, keys, values, how many, map, flags
_OPERATIONS = {"=": 0xB7, "+=": 0x07, "&=": 0x57, ">>=": 0x77, "<<=": 0x67}
_COMPARISONS = {"==": 0x15, "!=": 0x55, "<": 0xA5, "<=": 0xB5, ">": 0x25}
_BY_REGISTER = 0x08
_SIZES = {1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18}

_libc = ctypes.CDLL(None, use_errno=True)

Size = Literal[1, 2, 4, 8]


def call(command: int, attributes: bytes) -> int:
    """Ask the kernel; return what it returns, of most commands a descriptor.

    Raises:
        OSError: it refuses.
    """
    return ask(command, ctypes.create_string_buffer(attributes, len(attributes)))


def ask(command: int, attributes: "ctypes.Array[ctypes.c_char]") -> int:
    """Ask the kernel, which writes its answer among the ``attributes``; return what it returns.

    Raises:
        OSError: it refuses.
    """
    number = _CALL_NUMBERS.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    done: int = _libc.syscall(number, command, attributes, len(attributes))
    if done < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return done


class BpfMap:
    """A hash map that programs look into. Keys and values are bytes of fixed size, all sizes in bytes.

    Raises:
        OSError: the kernel refuses.
    """

    def __init__(self, key_bytes: int, value_bytes: int, entries: int) -> None:
        self.fd = call(_CREATE_MAP, struct.pack("=IIIII", _HASH, key_bytes, value_bytes, entries, _AS_NEEDED))
        self._key = ctypes.create_string_buffer(key_bytes)
        self._value = ctypes.create_string_buffer(value_bytes)
        self._keys = ctypes.create_string_buffer(key_bytes * _READ_AT_ONCE)
        self._values = ctypes.create_string_buffer(value_bytes * _READ_AT_ONCE)
        at = ctypes.addressof(self._key), ctypes.addressof(self._value)
        self._element = struct.pack("=IxxxxQQQ", self.fd, *at, 0)

    def close(self) -> None:
        """Let go of it; it is gone once no program has it."""
        os.close(self.fd)

    def put(self, key: bytes, value: bytes) -> None:
        """Add an element, in place of one of that key.

        Raises:
            OSError: the kernel has no room.
        """
        self._key.raw, self._value.raw = key, value
        call(_PUT, self._element)

    def get(self, key: bytes) -> bytes | None:
        """Return the value of an element, None where there is none."""
        return self._asked(_GET, key)

    def pop(self, key: bytes) -> bytes | None:
        """Remove an element and return the value it had at the end, None where there is none."""
        return self._asked(_POP, key)

    def _asked(self, command: int, key: bytes) -> bytes | None:
        self._key.raw = key
        try:
            call(command, self._element)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        return self._value.raw

    def parts(self) -> Iterator[list[tuple[bytes, bytes]]]:
        """Give every element, key and value, so many at once; in between elements may come and go."""
        place = ctypes.create_string_buffer(8)  # where the next part begins
        at = ctypes.addressof(place), ctypes.addressof(self._keys), ctypes.addressof(self._values)
        begin = 0
        is_last = False
        while not is_last:
            fields = _MANY.pack(begin, *at, _READ_AT_ONCE, self.fd, 0, 0)
            asked = ctypes.create_string_buffer(fields, len(fields))
            try:
                ask(_READ_MANY, asked)
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise
                is_last = True
            count = _MANY.unpack(asked.raw)[4]
            keys, values = self._keys.raw, self._values.raw
            size, value_size = len(self._key), len(self._value)
            yield [
                (keys[number * size : (number + 1) * size], values[number * value_size : (number + 1) * value_size])
                for number in range(count)
            ]
            begin = at[0]


class Register(int):
    """The number of a register, where it stands for what is in it."""


class Code:
    """Instructions, one after the other. Registers are numbers: 1 is what a program begins with, 0 what it ends with,
    and what a call returns; 1 to 5 are what a call is given, and gone after it; 10 is the end of its stack."""

    def __init__(self) -> None:
        self._instructions: list[tuple[int, int, int, int, int, str]] = []
        self._labels: dict[str, int] = {}

    def _add(self, code: int, to: int = 0, source: int = 0, offset: int = 0, value: int = 0, label: str = "") -> None:
        self._instructions.append((code, to, source, offset, value, label))

    def _add_either(self, code: int, to: int, what: "int | Register", label: str = "") -> None:
        if isinstance(what, Register):
            self._add(code | _BY_REGISTER, to, what, label=label)
        else:
            self._add(code, to, value=what, label=label)

    def label(self, name: str) -> None:
        """Name the place of the next instruction."""
        self._labels[name] = len(self._instructions)

    def load(self, to: int, size: Size, source: int, offset: int) -> None:
        """Read so many bytes at an address, as the machine has numbers."""
        self._add(0x61 | _SIZES[size], to, source, offset)

    def store(self, size: Size, to: int, offset: int, source: int) -> None:
        """Write so many bytes at an address."""
        self._add(0x63 | _SIZES[size], to, source, offset)

    def count(self, to: int, offset: int, source: int) -> None:
        """Add to the 8 bytes at an address at once, so that no other processor comes between."""
        self._add(0xDB, to, source, offset)

    def do(self, to: int, operation: Literal["=", "+=", "&=", ">>=", "<<="], what: "int | Register") -> None:
        """Change a register by a value, or by another's."""
        self._add_either(_OPERATIONS[operation], to, what)

    def set_map(self, to: int, fd: int) -> None:
        """Give a register a map."""
        self._add(0x18, to, 1, value=fd)
        self._add(0)

    def from_network(self, to: int, bits: Literal[16, 32, 64]) -> None:
        """Make a number of one that was read as it stands in a packet."""
        self._add(0xDC, to, value=bits)

    def go(self, label: str) -> None:
        """Go on elsewhere."""
        self._add(0x05, label=label)

    def go_if(
        self, to: int, comparison: Literal["==", "!=", "<", "<=", ">"], what: "int | Register", label: str
    ) -> None:
        """Go on elsewhere if a register compares so with a value, or with another."""
        self._add_either(_COMPARISONS[comparison], to, what, label)

    def call(self, function: int) -> None:
        """Call one of the kernel's functions for programs."""
        self._add(0x85, value=function)

    def exit(self) -> None:
        """End."""
        self._add(0x95)

    def assembled(self) -> bytes:
        """Return the instructions as the kernel takes them."""
        return b"".join(
            _INSTRUCTION.pack(code, to | source << 4, self._labels[label] - number - 1 if label else offset, value)
            for number, (code, to, source, offset, value, label) in enumerate(self._instructions)
        )


def load(program: bytes) -> int:
    """Have the kernel prove and take a program for the ingress of links; return its descriptor.

    Raises:
        OSError: it refuses.
    """
    code = ctypes.create_string_buffer(program, len(program))
    count = len(program) // _INSTRUCTION.size
    return call(
        _LOAD,
        struct.pack("=IIQQ", _AT_LINKS, count, ctypes.addressof(code), ctypes.addressof(_LICENSE)).ljust(80, b"\0"),
    )


def attach(program: int, link: int) -> int:
    """Have packets that come in by a link go through a program, for as long as the returned descriptor is open.

    Raises:
        OSError: the kernel refuses.
    """
    return call(_ATTACH, struct.pack("=IIII", program, link, _INGRESS, 0).ljust(64, b"\0"))


def program_id(program: int) -> int:
    """Return the number by which the kernel knows a program.

    Raises:
        OSError: the kernel does not tell it.
    """
    told = ctypes.create_string_buffer(8)  # the kind of program, the number
    call(_DESCRIBE, struct.pack("=IIQ", program, len(told), ctypes.addressof(told)))
    return int(struct.unpack("=xxxxI", told)[0])


def programs_behind(link: int) -> set[int]:
    """Return the numbers of the programs that packets go through which come in by a link.

    Raises:
        OSError: the kernel does not tell them: it knows none of this kind, or tells only who might attach some.
    """
    told = (ctypes.c_uint32 * _PROGRAMS_OF_A_LINK)()
    fields = struct.pack("=IIIIQI", link, _INGRESS, 0, 0, ctypes.addressof(told), len(told)).ljust(64, b"\0")
    asked = ctypes.create_string_buffer(fields, len(fields))
    ask(_QUERY, asked)
    return set(told[: struct.unpack_from("=I", asked, 24)[0]])
