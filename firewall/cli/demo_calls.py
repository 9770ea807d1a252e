"""The demo's callers: real SIPp processes with scenarios of our own (``firewall/cli/sipp/``)."""

import csv
import subprocess
from dataclasses import dataclass
from pathlib import Path

from firewall.cli.demo_stage import Stage, wait_until
from firewall.errors import MachineError

FOLDER = "sipp"
TRUNK = "192.0.2.10"
DISPATCH_CENTRE = "198.51.100.10"
SCANNER = "203.0.113.66"
ORDINARY_NUMBERS = ("2125550123", "4135550147", "6175550191")
SCANS = 3
SCAN_MESSAGES = 2 * SCANS  # OPTIONS and REGISTER

_SCENARIOS = Path(__file__).parent / "sipp"
_CALL_WITHIN_S = 8


@dataclass(frozen=True, slots=True)
class CallCount:
    """What SIPp says about a batch of calls."""

    placed: int
    succeeded: int


class Callers:
    """The telephones of the demo; each batch's SIPp files stand in the folder ``sipp`` under its own name."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._folder = stage.folder / FOLDER
        self._folder.mkdir()

    def start_dispatch_centre(self) -> None:
        """Start the side that answers, on the PSAP's address."""
        self._start("psap", "callee", "dispatch-centre", DISPATCH_CENTRE, [])

    def call(self, name: str, numbers: tuple[str, ...]) -> subprocess.Popen[bytes]:
        """Start calling these numbers through the trunk, one after the other."""
        dialled = self._folder / f"{name}.csv"
        rows = "\n".join(f"{number};617555010{index}" for index, number in enumerate(numbers))
        dialled.write_text(f"SEQUENTIAL\n{rows}\n")
        arguments = [f"{DISPATCH_CENTRE}:5060", "-inf", str(dialled), "-m", str(len(numbers)), "-r", "4"]
        return self._start("carrier", "caller", name, TRUNK, arguments)

    def scan(self, name: str) -> subprocess.Popen[bytes]:
        """Start scanning the dispatch centre from the Internet."""
        return self._start(
            "carrier", "scanner", name, SCANNER, [f"{DISPATCH_CENTRE}:5060", "-m", str(SCANS), "-r", "10"]
        )

    def count(self, name: str, process: subprocess.Popen[bytes]) -> CallCount:
        """Wait for a batch to end and return SIPp's own count of it.

        Raises:
            MachineError: SIPp could not do its work.
        """
        wait_until(lambda: process.poll() is not None, f"the calls of {name} did not end", 2 * _CALL_WITHIN_S)
        statistics = self._folder / f"{name}.stat.csv"
        if process.returncode not in (0, 1) or not statistics.exists():
            cause, said = f"sipp ended with {process.returncode}", self._folder / f"{name}.log"
            raise MachineError("place", f"the calls of {name}", cause, needs=f"all it said is in {said}")
        with statistics.open(newline="") as file:
            last = list(csv.DictReader(file, delimiter=";"))[-1]
        return CallCount(int(last["TotalCallCreated"]), int(last["SuccessfulCall(C)"]))

    def _start(
        self, namespace: str, scenario: str, name: str, address: str, arguments: list[str]
    ) -> subprocess.Popen[bytes]:
        bounds = ["-timeout", f"{_CALL_WITHIN_S}s"] if arguments else []
        command = [
            "sipp", "-sf", str(_SCENARIOS / f"{scenario}.xml"), "-i", address, "-p", "5060", "-nostdin",
            # What fails is told by the scenario; SIPp is not to send a BYE or CANCEL of its own after it.
            "-default_behaviors", "all,-bye",
            "-trace_err", "-error_file", str(self._folder / f"{name}.errors.log"),
            "-trace_stat", "-stf", str(self._folder / f"{name}.stat.csv"),
            *bounds, *arguments,
        ]  # fmt: skip
        return self._stage.start(namespace, command, f"{FOLDER}/{name}.log")
