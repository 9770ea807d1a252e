"""The control socket: one line of JSON asks, one line of JSON answers.

``{"command": "status"}`` gives ``{"ok": true, "status": {...}}``; what cannot be done gives
``{"ok": false, "error": "..."}``.
"""

import asyncio
import contextlib
import errno
import json
import os
import socket
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from firewall.errors import MachineError

REQUEST_MAX_BYTES = 4096
ANSWER_MAX_BYTES = 256 * 1024 * 1024
CLIENTS_MAX = 16
CLIENT_TIMEOUT_S = 5.0

Answer = Callable[[], Any]


class ControlServer:
    """Answers clients one line each; a slow, silent, garbled or greedy client costs only itself."""

    def __init__(self, path: Path, commands: Mapping[str, Answer]) -> None:
        self.path = path
        self._commands = commands
        self._server: asyncio.Server | None = None
        self._inode: int | None = None
        self._refusal = ""
        self._clients = 0

    async def start(self) -> None:
        """Open the socket, readable and writable by this user alone.

        Raises:
            MachineError: another daemon answers there, something else than a socket is there, or it cannot be made.
        """
        _clear_stale_socket(self.path)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        mask = os.umask(0o177)
        try:
            listening.bind(os.fspath(self.path))
            self._inode = self.path.stat().st_ino
        except (OSError, ValueError) as error:
            listening.close()
            cause = os.strerror(error.errno or 0) if isinstance(error, OSError) and error.errno else str(error)
            raise MachineError("open", f"the control socket {self.path}", cause) from None
        finally:
            os.umask(mask)
        self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=REQUEST_MAX_BYTES)

    async def make_anew(self, say: Callable[[str], None]) -> None:
        """Open the socket again where its file is gone, as after a clean-up of its folder; ``say`` what hinders."""
        if self._is_there():
            return
        await self.stop()
        try:
            await self.start()
            self._refusal = ""
        except MachineError as error:
            if str(error) != self._refusal:
                self._refusal = str(error)
                say(self._refusal)

    async def stop(self) -> None:
        """Close the socket and remove its file, unless another has taken its place."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._is_there():
            with contextlib.suppress(OSError):  # as on a disk that was mounted read-only meanwhile
                self.path.unlink()

    def _is_there(self) -> bool:
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            if self._clients <= CLIENTS_MAX:
                async with asyncio.timeout(CLIENT_TIMEOUT_S):
                    request = await reader.readline()
                    writer.write(self._answer(request))
                    await writer.drain()
            else:
                writer.write(_refusal("too many clients at once"))
        except ValueError:
            # A line longer than the limit. Written without waiting: the client may not be reading.
            writer.write(_refusal(f"the request is longer than {REQUEST_MAX_BYTES} bytes"))
        except (TimeoutError, OSError):
            writer.transport.abort()
        finally:
            self._clients -= 1
            with contextlib.suppress(OSError):
                writer.close()

    def _answer(self, request: bytes) -> bytes:
        try:
            asked = msgspec.json.decode(request)
        except (msgspec.DecodeError, RecursionError):  # the second: brackets nested without end
            return _refusal('the request is not JSON; ask {"command": "status"}')
        command = asked.get("command") if isinstance(asked, dict) else None
        answer = self._commands.get(command) if isinstance(command, str) else None
        if answer is None:
            return _refusal(f"unknown command; there are {', '.join(self._commands)}")
        return msgspec.json.encode({"ok": True, command: answer()}) + b"\n"


class Refused(Exception):  # noqa: N818 (the daemon's answer, not an error of the program)
    """The daemon understood and said no; ``str()`` is its reason."""


def ask(path: Path, command: str) -> Any:
    """Ask the daemon behind the control socket, and return what it says.

    Raises:
        MachineError: no daemon answers there.
        Refused: it answers no.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(CLIENT_TIMEOUT_S)
            connection.connect(os.fspath(path))
            connection.sendall(json.dumps({"command": command}).encode() + b"\n")
            line = _read_line(connection)
        answer = msgspec.json.decode(line)
        if not isinstance(answer, dict) or "ok" not in answer:
            raise ValueError("its answer is not sosgate's")
    except (OSError, ValueError, msgspec.DecodeError) as error:
        raise _no_daemon(path, error) from None
    if answer["ok"] is not True:
        raise Refused(str(answer.get("error", "no reason given")))
    return answer.get(command)


def _read_line(connection: socket.socket) -> bytes:
    received = bytearray()
    while not received.endswith(b"\n"):
        chunk = connection.recv(1 << 20)
        if not chunk or len(received) > ANSWER_MAX_BYTES:
            raise ValueError("its answer broke off")
        received += chunk
    return bytes(received)


def _no_daemon(path: Path, error: Exception) -> MachineError:
    code = error.errno if isinstance(error, OSError) else None
    needs: str | None = f'is "sosgate run" going with --control {path}?'
    if code == errno.ENOENT:
        cause = "there is no such socket"
    elif code == errno.ECONNREFUSED:
        cause = "nobody answers there"
    elif code == errno.EAGAIN:
        cause, needs = "too many ask at once", "ask again"
    elif code in (errno.EACCES, errno.EPERM):
        cause, needs = "it belongs to another user", "ask as the user the daemon runs as (root)"
    else:
        cause = str(error) or type(error).__name__
    return MachineError("reach", f"the daemon on {path}", cause, needs=needs)


def _refusal(reason: str) -> bytes:
    return msgspec.json.encode({"ok": False, "error": reason}) + b"\n"


def _clear_stale_socket(path: Path) -> None:
    """Remove the socket file of a run that was killed: nobody answers there any more."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        what, needs = (
            ("a folder", "name a file in it") if stat.S_ISDIR(mode) else ("a file that is no socket", "remove it")
        )
        raise MachineError("open", f"the control socket {path}", f"{what} is there", needs=needs)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # the daemon looks here while it works
        try:
            with contextlib.suppress(BlockingIOError):  # so many wait for an answer already
                probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise MachineError("open", f"the control socket {path}", os.strerror(error.errno or 0)) from None
    raise MachineError(
        "open", f"the control socket {path}", "another program answers there", needs="choose another path"
    )
