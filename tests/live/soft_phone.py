"""A soft phone in a namespace of the testbed, for tests: what it is told on its standard input, and what it says."""

import math
import struct
import subprocess
import wave
from pathlib import Path

_SAMPLES_PER_S = 8000


class SoftPhone:
    """One phone's process; ends when the ``with`` block does. ``screen`` is the file for what it says."""

    def __init__(self, namespace: str, command: list[str], screen: Path) -> None:
        self._screen_path = screen
        self._screen = screen.open("wb")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, *command],
            stdin=subprocess.PIPE,
            stdout=self._screen,
            stderr=subprocess.STDOUT,
        )

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate(timeout=10)
        self._screen.close()

    def write(self, text: str) -> None:
        """Write to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def said(self) -> bytes:
        """Return what it has said so far."""
        return self._screen_path.read_bytes()


def write_tone(path: Path, seconds: int) -> None:
    """Write a WAV file that a phone can have for a voice."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_SAMPLES_PER_S)
        turn = 440 * 2 * math.pi / _SAMPLES_PER_S
        samples = (round(8000 * math.sin(number * turn)) for number in range(seconds * _SAMPLES_PER_S))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
