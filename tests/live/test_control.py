"""The control socket, with well-behaved and other clients."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from firewall.errors import MachineError
from firewall.live.control import CLIENTS_MAX, REQUEST_MAX_BYTES, ControlServer, Refused, ask
from tests.live.conftest import Namespaces
from tests.live.firewall_process import FirewallProcess, policy_text, wait_until
from tests.live.sipp import answering, calling

pytestmark = pytest.mark.asyncio

COMMANDS = {"status": lambda: {"calls": 3}, "calls": lambda: [{"call_id": "x" * 100}] * 50_000}


async def exchange(path: Path, request: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(os.fspath(path), limit=1 << 24)
    try:
        writer.write(request)
        await writer.drain()
        return await asyncio.wait_for(reader.readline(), 10)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_one_line_asks_and_one_line_answers(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "control", COMMANDS)
    await server.start()
    assert stat.S_IMODE((tmp_path / "control").stat().st_mode) == 0o600
    assert json.loads(await exchange(server.path, b'{"command": "status"}\n')) == {"ok": True, "status": {"calls": 3}}
    assert await asyncio.to_thread(ask, server.path, "status") == {"calls": 3}
    assert len(await asyncio.to_thread(ask, server.path, "calls")) == 50_000
    with pytest.raises(Refused, match="unknown command; there are status, calls"):
        await asyncio.to_thread(ask, server.path, "reboot")
    await server.stop()
    assert not server.path.exists()


@pytest.mark.parametrize(
    "request_line",
    [
        b"",
        b"\n",
        b"status\n",
        b"[]\n",
        b'"status"\n',
        b'{"command": ["status"]}\n',
        b'{"command": "' + b"x" * (REQUEST_MAX_BYTES + 1) + b'"}\n',
        b"x" * 1_000_000,
        b'{"command": "status"} \xff\xfe\n',
        b"[" * 4000 + b"\n",
    ],
)
async def test_garbage_gets_a_refusal_or_nothing_and_the_next_client_is_served(
    tmp_path: Path, request_line: bytes
) -> None:
    server = ControlServer(tmp_path / "control", COMMANDS)
    await server.start()
    reader, writer = await asyncio.open_unix_connection(os.fspath(server.path))
    writer.write(request_line)
    if writer.can_write_eof():
        writer.write_eof()
    try:
        answer = await asyncio.wait_for(reader.readline(), 10)
        assert answer == b"" or json.loads(answer)["ok"] is False
    except ConnectionError:
        pass  # it was cut off for saying too much
    writer.close()
    assert json.loads(await exchange(server.path, b'{"command": "status"}\n'))["ok"] is True
    await server.stop()


async def test_clients_that_stay_silent_or_do_not_read_are_let_go_and_do_not_hold_up_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firewall.live.control.CLIENT_TIMEOUT_S", 0.3)
    server = ControlServer(tmp_path / "control", COMMANDS)
    await server.start()
    silent = [await asyncio.open_unix_connection(os.fspath(server.path)) for _ in range(CLIENTS_MAX // 2)]
    deaf = [await asyncio.open_unix_connection(os.fspath(server.path), limit=16) for _ in range(CLIENTS_MAX // 2 - 1)]
    for _, writer in deaf:
        writer.write(b'{"command": "calls"}\n')
    assert json.loads(await exchange(server.path, b'{"command": "status"}\n'))["ok"] is True
    late = [await exchange(server.path, b'{"command": "status"}\n') for _ in range(3)]
    assert all(json.loads(answer)["ok"] for answer in late)
    for reader, _ in silent:
        assert await asyncio.wait_for(reader.read(), 5) == b""
    for _, writer in (*silent, *deaf):
        writer.close()
    await server.stop()


async def test_too_many_clients_are_told_so(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "control", COMMANDS)
    await server.start()
    held = [await asyncio.open_unix_connection(os.fspath(server.path)) for _ in range(CLIENTS_MAX)]
    answer = json.loads(await exchange(server.path, b'{"command": "status"}\n'))
    assert answer == {"ok": False, "error": "too many clients at once"}
    for _, writer in held:
        writer.close()
    await server.stop()


async def test_the_socket_of_a_killed_run_is_replaced_and_a_living_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "control"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.fspath(path))
    server = ControlServer(path, COMMANDS)
    await server.start()
    other = ControlServer(path, COMMANDS)
    with pytest.raises(MachineError, match="another program answers there"):
        await other.start()
    await other.stop()
    assert await asyncio.to_thread(ask, path, "status") == {"calls": 3}
    await server.stop()


async def test_another_that_took_the_path_and_has_no_time_to_answer_is_told_as_one(tmp_path: Path) -> None:
    said: list[str] = []
    server = ControlServer(tmp_path / "control", COMMANDS)
    await server.start()
    server.path.unlink()
    with ExitStack() as opened:
        hanging = opened.enter_context(socket.socket(socket.AF_UNIX))
        hanging.bind(os.fspath(server.path))
        hanging.listen(0)
        opened.enter_context(socket.socket(socket.AF_UNIX)).connect(os.fspath(server.path))
        await server.make_anew(said.append)
    assert "another program answers there" in said[0]
    await server.stop()


@pytest.mark.netns
async def test_a_socket_that_cannot_be_removed_hinders_no_stop(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "control", COMMANDS)
    await server.start()
    subprocess.run(["mount", "--bind", tmp_path, tmp_path], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", tmp_path], check=True)
        await server.stop()
        assert server.path.exists()
    finally:
        subprocess.run(["umount", tmp_path], check=True)


async def test_a_socket_that_others_removed_is_made_anew_and_one_that_cannot_be_is_told_once(tmp_path: Path) -> None:
    said: list[str] = []
    server = ControlServer(tmp_path / "run" / "control", COMMANDS)
    server.path.parent.mkdir()
    await server.start()
    server.path.unlink()
    server.path.parent.rmdir()
    for _ in range(2):
        await server.make_anew(said.append)
    assert said == [f"error: cannot open the control socket {server.path}: No such file or directory"]
    server.path.parent.mkdir()
    await server.make_anew(said.append)
    inode = server.path.stat().st_ino
    await server.make_anew(said.append)
    assert await asyncio.to_thread(ask, server.path, "status") == {"calls": 3}
    assert (len(said), server.path.stat().st_ino) == (1, inode)
    await server.stop()
    assert not server.path.exists()


async def test_no_daemon_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "control"
    with pytest.raises(MachineError, match=r"cannot reach the daemon on .*control: there is no such socket"):
        ask(path, "status")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.fspath(path))
    with pytest.raises(MachineError, match="nobody answers there"):
        ask(path, "status")


async def test_a_daemon_that_too_many_ask_is_one_sentence(tmp_path: Path) -> None:
    path = os.fspath(tmp_path / "control")
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as first:
        busy.bind(path)
        busy.listen(0)
        first.connect(path)
        with pytest.raises(MachineError, match="too many ask at once"):
            ask(tmp_path / "control", "status")


@pytest.mark.netns
async def test_ctl_shows_the_status_and_the_calls_in_progress(testbed: Namespaces, tmp_path: Path) -> None:
    policy, control = tmp_path / "p.yaml", tmp_path / "control"
    policy.write_text(policy_text(guard="enforce"))
    with (
        FirewallProcess(testbed.fw, policy, "--control", str(control)) as firewall,
        answering(testbed.psap, tmp_path),
        calling(testbed.carrier, tmp_path, "-m", "3", "-r", "100", "-d", "100000", "-s", "911"),
    ):
        wait_until(lambda: ask(control, "status")["stats"]["messages"] == 12, "three calls are up")
        status = ctl("status", control)
        calls = ctl("calls", control)
        firewall.stop()
    answer = json.loads(status.stdout)
    assert (answer["policy"]["name"], answer["policy"]["rules"]) == ("testbed", 1)
    assert (answer["stats"]["messages"], answer["stats"]["emergency_calls"]) == (12, 3)
    assert answer["interfaces"] == ["f0", "f1"]
    assert answer["receive_drops"] == 0
    assert len(json.loads(calls.stdout)) == 3
    assert ctl("status", control).returncode == 2
    assert "there is no such socket" in ctl("status", control).stderr


def ctl(command: str, control: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "firewall", "ctl", command, "--control", str(control)],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        cwd=Path(__file__).parents[2],
    )
