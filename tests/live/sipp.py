"""SIPp in a namespace of the testbed, for tests."""

import csv
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.live.firewall_process import WITHIN_S, wait_until

SCENARIOS = Path(__file__).parent / "scenarios"
CARRIER = "192.0.2.10"
PSAP = "198.51.100.10"
CARRIER_V6 = "2001:db8:1::10"
PSAP_V6 = "2001:db8:2::10"


@dataclass(frozen=True, slots=True)
class CallCount:
    """SIPp's own count of its calls."""

    successful: int
    failed: int
    retransmissions: int


class Sipp:
    """One SIPp process; ends when the ``with`` block does."""

    def __init__(self, namespace: str, scenario: str, address: str, folder: Path, *arguments: str) -> None:
        own = SCENARIOS / f"{scenario}.xml"
        self._statistics = folder / f"{scenario}-{namespace}.csv"
        self._screen = (folder / f"{scenario}-{namespace}.log").open("wb")
        command = [
            *("ip", "netns", "exec", namespace, "sipp"),
            *(("-sf", str(own)) if own.exists() else ("-sn", scenario)),
            *("-i", f"[{address}]" if ":" in address else address, "-p", "5060", "-nostdin"),
            *("-trace_stat", "-stf", str(self._statistics), "-fd", "1"),
            *arguments,
        ]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._screen, stderr=subprocess.STDOUT, cwd=folder
        )

    def __enter__(self) -> "Sipp":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(WITHIN_S)
        self._screen.close()

    def wait(self, within_s: float = 60) -> int:
        """Wait for the end of its calls and return its exit code (0: all were successful)."""
        return self.process.wait(within_s)

    def count(self) -> CallCount:
        """Return what it has counted."""
        with self._statistics.open(newline="") as file:
            last = list(csv.DictReader(file, delimiter=";"))[-1]
        return CallCount(int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"]), int(last["Retransmissions(C)"]))


def answering(namespace: str, folder: Path, address: str = PSAP, *arguments: str, scenario: str = "uas") -> Sipp:
    """Start the side that answers, SIPp's built-in uas where no other is named, and wait until it listens."""
    sipp = Sipp(namespace, scenario, address, folder, *arguments)
    wait_until_listening(namespace, address)
    return sipp


def wait_until_listening(namespace: str, address: str) -> None:
    """Wait until somebody has port 5060 of an address, UDP or TCP."""
    ask = ["ip", "netns", "exec", namespace, "ss", "-Htuln", f"src [{address}]:5060"]
    wait_until(lambda: subprocess.run(ask, capture_output=True, check=True).stdout, f"{address}:5060 listens")


def calling(namespace: str, folder: Path, *arguments: str, address: str = CARRIER, to: str = PSAP) -> Sipp:
    """Start the side that calls: SIPp's built-in uac."""
    destination = f"[{to}]:5060" if ":" in to else f"{to}:5060"
    return Sipp(namespace, "uac", address, folder, destination, *arguments)
