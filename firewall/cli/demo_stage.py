"""The demo's stage: a testbed of its own, the processes in it, and the promise that nothing of it stays behind."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self, TypeVar

import firewall
from firewall.errors import MachineError, OperatorError
from firewall.live import testbed

PREFIX = "demo-"
PACKAGES = {"setpriv": "util-linux", "ip": "iproute2", "nft": "nftables", "sipp": "sip-tester", "dumpcap": "tshark"}

_READY_WITHIN_S = 10
_STOP_WITHIN_S = 5
_POLL_S = 0.005
_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_T = TypeVar("_T")


class Stage:
    """A context manager: the three namespaces while inside, the machine as it was afterwards, whatever happened.

    ``folder`` takes the processes' output. Ctrl-C, SIGTERM and a closed terminal end the context like an error.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._handlers: dict[signal.Signals, Any] = {}
        self._mark = f"SOSGATE_DEMO={os.getpid()}"

    def __enter__(self) -> Self:
        """Make the testbed.

        Raises:
            OperatorError: another demo is running, or a namespace of that name is somebody else's.
            MachineError: a program is missing, or the kernel refused.
        """
        _require_programs()
        _clear_left_over()
        self._handlers = {number: signal.getsignal(number) for number in _ENDING_SIGNALS}
        ended_by: list[int] = []
        # While the testbed is being made, an end waits: half a namespace would look like somebody else's, and
        # pyroute2 forks and ends its child with SIGTERM, which must not run an exception through our code there.
        self._on_end(lambda number, _frame: ended_by.append(number))
        try:
            testbed.up(PREFIX)
        except BaseException:
            self._restore_handlers()
            raise
        self._on_end(_end)
        if ended_by:
            self.__exit__(None, None, None)
            _end(ended_by[0], None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop every process and remove the testbed; a second Ctrl-C does not cut this short."""
        self._on_end(signal.SIG_IGN)
        for process in reversed(self._processes):
            _stop(process)
        for status in testbed.statuses(PREFIX):
            for pid in status.processes:
                self._kill_if_ours(pid)
        testbed.down(PREFIX)
        self._restore_handlers()

    def start(
        self, namespace: str, arguments: Sequence[str], output: str, *, environment: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program in a namespace of the testbed; what it says goes to ``folder/output``."""
        with (self.folder / output).open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 (our own arguments, no shell)
                # pdeathsig: not even kill -9 of the demo leaves a program running.
                ["setpriv", "--pdeathsig", "TERM", "ip", "netns", "exec", PREFIX + namespace, *arguments],  # noqa: S607 (found on PATH, see __enter__)
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | (environment or {}) | dict([self._mark.split("=")]),
                start_new_session=True,  # Ctrl-C reaches us alone; we end the others in order
            )
        self._processes.append(process)
        return process

    def start_daemon(self, arguments: Sequence[str], output: str) -> subprocess.Popen[bytes]:
        """Start ``sosgate run`` in namespace fw and return when it says that it is ready (sd_notify).

        Raises:
            MachineError: it ended, or did not become ready in time.
        """
        with (
            tempfile.TemporaryDirectory(prefix="sosgate-") as folder,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications,
        ):
            address = str(Path(folder) / "notify")
            notifications.bind(address)
            notifications.settimeout(0.1)
            daemon = self.start("fw", [*sosgate("run"), *arguments], output, environment={"NOTIFY_SOCKET": address})

            def ready() -> bool:
                try:
                    return b"READY=1" in notifications.recv(4096).splitlines()
                except TimeoutError:
                    self.check_alive(daemon, "the daemon", output)
                    return False

            wait_until(ready, "the daemon did not become ready", _READY_WITHIN_S)
        return daemon

    def start_capture(self, pcap: Path, output: str) -> subprocess.Popen[bytes]:
        """Start capturing on the carrier's side of the firewall, and return when it has begun.

        Raises:
            MachineError: it ended, or did not begin in time.
        """
        # dumpcap, because tcpdump gives up its user id, which an ordinary user's namespace does not allow.
        capture = self.start("fw", ["dumpcap", "-P", "-q", "-i", "f0", "-w", str(pcap)], output)

        def begun() -> bool:
            self.check_alive(capture, "dumpcap", output)
            return "File: " in (self.folder / output).read_text(errors="replace")

        wait_until(begun, "the capture did not begin", _READY_WITHIN_S)
        return capture

    def check_alive(self, process: subprocess.Popen[bytes], name: str, output: str) -> None:
        """Do nothing while the process runs.

        Raises:
            MachineError: it has ended; the last line it said is the cause.
        """
        if process.poll() is None:
            return
        said = (self.folder / output).read_text(errors="replace").strip().splitlines()
        cause = said[-1].removeprefix("error: ") if said else f"it ended with status {process.returncode}"
        raise MachineError("run", name, cause, needs=f"all it said is in {self.folder / output}")

    def _on_end(self, handler: Callable[[int, FrameType | None], object] | signal.Handlers) -> None:
        for number, before in self._handlers.items():
            if before is not signal.SIG_IGN:  # nohup means it
                signal.signal(number, handler)

    def _restore_handlers(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _kill_if_ours(self, pid: int) -> None:
        """Kill a process that was started but not yet noted when the end came."""
        try:
            if self._mark.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, FileNotFoundError):
            return

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End one process now and wait for it."""
        _stop(process)
        self._processes.remove(process)


def sosgate(command: str) -> list[str]:
    """Return the start of a command line that runs a command of this very sosgate, whatever the current folder is."""
    location = str(Path(firewall.__file__).resolve().parent.parent)
    program = f"import sys; sys.path.insert(0, {location!r}); from firewall.cli.main import main; main()"
    return [sys.executable, "-P", "-c", program, command]


def wait_until(happened: Callable[[], _T | None], otherwise: str, within_s: float) -> _T:
    """Call ``happened`` until it returns something true, and return that.

    Raises:
        MachineError: ``otherwise``, when the time is over.
    """
    give_up = time.monotonic() + within_s
    while True:
        if result := happened():
            return result
        if time.monotonic() > give_up:
            raise MachineError("run", "the demo", f"{otherwise} within {within_s:g} s")
        time.sleep(_POLL_S)


def _require_programs() -> None:
    # Where nft and ip are, and where an ordinary user's PATH often does not lead.
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    missing = [program for program in PACKAGES if shutil.which(program) is None]
    if missing:
        packages = " ".join(PACKAGES[program] for program in missing)
        raise MachineError("find", missing[0], "not installed", needs=f"run: sudo apt-get install -y {packages}")


def _clear_left_over() -> None:
    statuses = testbed.statuses(PREFIX)
    busy = [status for status in statuses if status.state == "up" and status.processes]
    if busy:
        raise OperatorError(
            f'another demo is running in the network namespace "{busy[0].name}"',
            next_step=f"wait for it, or end process {busy[0].processes[0]}",
        )
    if any(status.state == "up" for status in statuses):
        testbed.down(PREFIX)  # a demo that was killed left it


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
