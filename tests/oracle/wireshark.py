"""Wireshark's display filters as an oracle: many expressions in one run of tshark."""

import os
import subprocess
import tempfile
from pathlib import Path

# A listener per expression does what `tshark -Y EXPRESSION` does, without starting tshark for each.
_SCRIPT = """
local found = {}
local index = 0
for line in io.lines(os.getenv("EXPRESSIONS")) do
    index = index + 1
    local number, frames = index, {}
    found[number] = frames
    local ok, listener = pcall(Listener.new, "frame", line)
    if ok then
        listener.packet = function(packet) frames[#frames + 1] = packet.number end
    else
        found[number] = nil
        print("refused " .. number .. " " .. tostring(listener))
    end
end
local last = Listener.new("frame")
last.draw = function()
    for number = 1, index do
        if found[number] then print("found " .. number .. " " .. table.concat(found[number], " ")) end
    end
end
"""


class RefusedError(Exception):
    """Wireshark does not take some of the ``expressions``."""

    def __init__(self, reasons: dict[str, str]) -> None:
        super().__init__("\n".join(f"{expression}: {reason}" for expression, reason in reasons.items()))
        self.expressions = list(reasons)


def wireshark_frames(capture: bytes, expressions: list[str], *options: str) -> list[list[int]]:
    """Return, for each expression, the numbers of the frames that it matches; ``options`` are tshark's.

    Raises:
        RefusedError: an expression is none to Wireshark.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "capture").write_bytes(capture)
        (folder / "expressions").write_text("\n".join(expressions) + "\n")
        (folder / "listen.lua").write_text(_SCRIPT)
        done = subprocess.run(
            ["tshark", "-q", "-n", "-r", "capture", "-X", "lua_script:listen.lua", *options],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": name, "EXPRESSIONS": "expressions", "LC_ALL": "C.UTF-8"},
            # Lua scripts are not run for root.
            user=65534 if os.geteuid() == 0 else None,
            capture_output=True,
            timeout=100,
            check=False,
        )
    lines = [line.split(" ", 2) for line in done.stdout.decode("utf-8", "surrogateescape").splitlines()]
    refused = {expressions[int(line[1]) - 1]: line[2] for line in lines if line[0] == "refused"}
    if refused:
        raise RefusedError(refused)
    frames = {int(line[1]): [int(number) for number in line[2].split()] for line in lines if line[0] == "found"}
    if len(frames) != len(expressions):
        raise RuntimeError(
            f"tshark told of {len(frames)} expressions of {len(expressions)}: {done.stderr.decode()[-400:]}"
        )
    return [frames[number] for number in range(1, len(expressions) + 1)]
