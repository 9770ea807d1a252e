"""Wireshark as an oracle for many captures: sharkd(1) starts once, where tshark starts for each of them."""

import atexit
import json
import subprocess
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

# sharkd 4.0 remembers what a filter showed, also of the capture before: each of its filters is another one.
_last_frame = count(1_000_000)


@cache
def _sharkd() -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    started = subprocess.Popen(["sharkd", "-"], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
    atexit.register(started.communicate)
    return started


def _ask(method: str, **parameters: Any) -> Any:
    sharkd = _sharkd()
    assert sharkd.stdin is not None
    assert sharkd.stdout is not None
    sharkd.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}) + "\n")
    sharkd.stdin.flush()
    return json.loads(sharkd.stdout.readline())["result"]


def shown(capture: Path, only: str, *fields: str) -> list[list[str]]:
    """Return the number of each frame that a display filter shows, and its values of ``fields``, many with commas."""
    assert _ask("load", file=str(capture.resolve())) == {"status": "OK"}
    columns = {f"column{number}": f"{field}:0" for number, field in enumerate(fields)}
    return [
        [str(frame["num"]), *frame.get("c", [])[: len(fields)]]
        for frame in _ask("frames", filter=f"({only}) and frame.number < {next(_last_frame)}", **columns)
    ]


def frames_shown(capture: Path, only: str) -> list[int]:
    """Return the numbers of the frames that a display filter shows."""
    return [int(number) for (number,) in shown(capture, only)]
