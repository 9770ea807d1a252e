"""linphone in a namespace of the testbed, for tests: a soft phone of others that speaks real-time text (RFC 4103).

Its console program does not offer text, so this module run as a program is a phone of its own around liblinphone: it
answers at once, does what the lines it reads say, and writes its call's states and what the other side has typed.
"""

import ctypes
import select
import sys
from pathlib import Path

from tests.live.firewall_process import wait_until
from tests.live.soft_phone import SoftPhone, write_tone

_LIBRARY = "liblinphone.so.10"
_CONFIGURATION = """\
[sip]
bind_address={ip}
[misc]
store_friends=0
"""
_INCOMING, _RUNNING = 1, 8  # LinphoneCallState
_STATES = {_RUNNING: "talking", 10: "holding", 15: "held", 14: "over"}
_ITERATE_S = 0.02


class Linphone(SoftPhone):
    """One phone; ends when the ``with`` block does. It calls ``to``, or waits for a call."""

    def __init__(self, namespace: str, ip: str, folder: Path, to: str | None = None) -> None:
        home = folder / ip
        home.mkdir()
        phone = [sys.executable, "-m", "tests.live.linphone", ip, str(home), *([to] if to else [])]
        super().__init__(namespace, phone, folder / f"{ip}.log")

    def __enter__(self) -> "Linphone":
        self.wait_for("ready")
        return self

    def tell(self, command: str) -> None:
        """Have it do something: ``type TEXT``, ``hold``, ``resume``, ``hang up``."""
        self.write(f"{command}\n")

    def wait_for(self, line: str, times: int = 1) -> None:
        """Wait until it has written a line so many times."""
        wait_until(lambda: self.said().splitlines().count(line.encode()) >= times, f"linphone: {line!r}")


class _Pointer(ctypes.c_void_p):
    """A thing of the library's; its own type, because ctypes gives a plain pointer back as a number and cuts it."""


_library: ctypes.CDLL


def _do(name: str, *arguments: "_Pointer | bytes | int | None") -> int:
    """Call a function of the library by its name behind ``linphone_``; what it returns, if it is a number."""
    function = getattr(_library, f"linphone_{name}")
    function.restype = ctypes.c_int
    return int(function(*arguments))


def _get(name: str, *arguments: "_Pointer | bytes | int | None") -> _Pointer:
    """Call a function that returns a thing; it is false where there is none."""
    function = getattr(_library, f"linphone_{name}")
    function.restype = _Pointer
    got: _Pointer = function(*arguments)
    return got


def _core(ip: str, home: Path) -> _Pointer:
    """Return a running phone on UDP port 5060 whose voice is a tone; it has no camera, no screen and no sound card."""
    configuration, tone = home / "linphonerc", home / "tone.wav"
    configuration.write_text(_CONFIGURATION.format(ip=ip))
    write_tone(tone, 30)
    factory = _get("factory_get")
    for folder in ("data", "config"):
        _do(f"factory_set_{folder}_dir", factory, bytes(home))
    core = _get("factory_create_core_3", factory, bytes(configuration), None, None)
    transports = _get("factory_create_transports", factory)
    for name, port in (("udp", 5060), ("tcp", 0), ("tls", 0)):
        _do(f"transports_set_{name}_port", transports, port)
    _do("core_set_transports", core, transports)
    _do("core_enable_ipv6", core, 0)
    for way in ("capture", "display"):
        _do(f"core_enable_video_{way}", core, 0)
    _do("core_set_use_files", core, 1)
    _do("core_set_play_file", core, bytes(tone))
    _do("core_start", core)
    return core


def _phone(ip: str, home: Path, to: str | None) -> None:
    """Be a phone until standard input ends."""
    core = _core(ip, home)
    wanted = _get("core_create_call_params", core, None)
    _do("call_params_enable_realtime_text", wanted, 1)
    say("ready")
    call = _get("core_invite_with_params", core, to.encode(), wanted) if to else _Pointer()
    state, heard, letters, message = 0, "", "", _Pointer()
    while True:
        _do("core_iterate", core)
        call = call or _get("core_get_current_call", core)
        if call and (now := _do("call_get_state", call)) != state:
            state = now
            say(_STATES.get(state, f"state {state}"))
            if state == _INCOMING:
                _do("call_accept_with_params", call, wanted)
        if state == _RUNNING:
            room = _get("call_get_chat_room", call)
            message = message or _get("chat_room_create_message_from_utf8", room, b"")
            while letter := _do("chat_room_get_char", room):
                heard += chr(letter)
                say(f"read {heard}")
            if letters:
                _do("chat_message_put_char", message, ord(letters[0]))
                letters = letters[1:]
        if not select.select([sys.stdin], [], [], _ITERATE_S)[0]:
            continue
        match sys.stdin.readline().rstrip("\n").partition(" "):
            case "type", _, text:
                letters += text
            case "hold", _, _:
                _do("call_pause", call)
            case "resume", _, _:
                _do("call_resume", call)
            case "hang", _, _:
                _do("call_terminate", call)
            case _:
                return


def say(line: str) -> None:
    """Write a line for ``Linphone.wait_for``."""
    print(line, flush=True)


if __name__ == "__main__":
    _library = ctypes.CDLL(_LIBRARY)
    _phone(sys.argv[1], Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
