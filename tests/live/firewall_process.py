"""A running ``sosgate run`` in a namespace of the testbed, for tests."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

WITHIN_S = 60.0  # what others take of a busy machine counts, too; nobody waits for it where all is well

POLICY = """\
policy: testbed
zones:
  carrier: {{interfaces: [f0], networks: [192.0.2.0/24, "2001:db8:1::/64"], on_daemon_down: {down}}}
  psap: {{interfaces: [f1], networks: [198.51.100.0/24, "2001:db8:2::/64"], on_daemon_down: {down}}}
{emergency}rules:
{rules}  - name: everything-else
    action: allow
default: drop
"""


def policy_text(*, down: str = "bypass", rules: str = "", guard: str | None = None) -> str:
    """Return a policy for the testbed; ``rules`` go before the one that allows everything."""
    emergency = f'emergency: {{numbers: ["911"], from: [carrier], to: [psap], guard: {guard}}}\n' if guard else ""
    return POLICY.format(down=down, rules=rules, emergency=emergency)


def wait_until(condition: Callable[[], Any], what: str, within_s: float = WITHIN_S) -> Any:
    """Return the first true value of ``condition``; fail when there is none in time."""
    give_up_at = time.monotonic() + within_s
    while time.monotonic() < give_up_at:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"not within {within_s} s: {what}")


class FirewallProcess:
    """``sosgate run`` in a namespace; ends when the ``with`` block does."""

    def __init__(
        self,
        namespace: str,
        policy: Path,
        *arguments: str,
        prelude: Iterable[str] = (),
        environment: dict[str, str] | None = None,
    ) -> None:
        command = [
            *("ip", "netns", "exec", namespace, *prelude),
            *(sys.executable, "-m", "firewall", "run", "--policy", str(policy), *arguments),
        ]
        self.lines: list[tuple[float, str]] = []
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            cwd=Path(__file__).parents[2],
        )
        self._reader = threading.Thread(target=self._read_stderr, daemon=True)
        self._reader.start()

    def __enter__(self) -> "FirewallProcess":
        try:
            self.wait_for(", ready")
        except AssertionError:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()
        self.kill()

    @property
    def stderr(self) -> str:
        """Everything it has said so far."""
        return "\n".join(line for _, line in self.lines)

    def wait_for(self, text: str, within_s: float = WITHIN_S) -> tuple[float, str]:
        """Return the first stderr line that holds ``text``, with the instant (monotonic) it was read."""

        def said() -> tuple[float, str] | None:
            for at, line in list(self.lines):
                if text in line:
                    return at, line
            assert self.process.poll() is None or self._reader.is_alive(), f"it ended without {text!r}:\n{self.stderr}"
            return None

        found = wait_until(said, f"stderr says {text!r}", within_s)
        assert isinstance(found, tuple)
        return found

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop and return its exit code."""
        self.process.send_signal(number)
        try:
            code = self.process.wait(WITHIN_S)
        finally:
            self.kill()
        return code

    def kill(self) -> None:
        """End it the hard way, as a crash would."""
        self.process.kill()
        self.process.wait(WITHIN_S)
        self._reader.join(WITHIN_S)
        if self.process.stderr is not None:
            self.process.stderr.close()  # also when it has ended by itself

    def cpu_s(self) -> float:
        """Return the processor time it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _read_stderr(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append((time.monotonic(), line.decode().rstrip("\n")))


def records(log: Path, event_type: str | None = None) -> list[dict[str, Any]]:
    """Return the records of a decision log; every line must be one."""
    text = log.read_text()
    assert text == "" or text.endswith("\n")
    found = [json.loads(line) for line in text.splitlines()]
    return [record for record in found if event_type in (None, record["event_type"])]
