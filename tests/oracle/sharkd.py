"""Wireshark as an oracle for many captures: sharkd(1) starts once, where tshark starts for each of them."""

import atexit
import json
import subprocess
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

_numbers = count(1_000_000)


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
    asked = {"jsonrpc": "2.0", "id": next(_numbers), "method": method, "params": parameters}
    sharkd.stdin.write(json.dumps(asked) + "\n")
    sharkd.stdin.flush()
    while (answer := json.loads(sharkd.stdout.readline()))["id"] != asked["id"]:
        pass  # that of a question whose test was ended before
    return answer["result"]


def shown(capture: Path, only: str, *fields: str) -> list[list[str]]:
    """Return the number of each frame that a display filter shows, and its values of ``fields``, many with commas."""
    assert _ask("load", file=str(capture.resolve())) == {"status": "OK"}
    # sharkd 4.0 remembers what a filter showed, also of the capture before: each of its filters is another one.
    filtered = f"({only}) and frame.number < {next(_numbers)}"
    columns = {f"column{number}": f"{field}:0" for number, field in enumerate(fields)}
    return [
        [str(frame["num"]), *frame.get("c", [])[: len(fields)]] for frame in _ask("frames", filter=filtered, **columns)
    ]


def frames_shown(capture: Path, only: str) -> list[int]:
    """Return the numbers of the frames that a display filter shows."""
    return [int(number) for (number,) in shown(capture, only)]
