"""baresip in a namespace of the testbed, for tests: a soft phone with a tone for a voice, driven by its keys."""

import math
import struct
import subprocess
import wave
from pathlib import Path

from tests.live.firewall_process import wait_until

_SAMPLES_PER_S = 8000
_CONFIGURATION = """\
poll_method epoll
sip_listen {ip}:5060
audio_source aufile,{tone}
audio_player aubridge,player
audio_alert aubridge,alert
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
rtp_ports {ports}
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module aubridge.so
module stdio.so
module_app account.so
module_app menu.so
"""


class Baresip:
    """One baresip; ends when the ``with`` block does. It answers at once."""

    def __init__(self, namespace: str, user: str, ip: str, ports: str, folder: Path, *commands: str) -> None:
        home = folder / user
        home.mkdir()
        write_tone(home / "tone.wav", 30)
        (home / "config").write_text(_CONFIGURATION.format(ip=ip, tone=home / "tone.wav", ports=ports))
        (home / "accounts").write_text(f"<sip:{user}@{ip}>;regint=0;answermode=auto;audio_codecs=pcmu/8000/1\n")
        (home / "contacts").write_text("")
        self._screen_path = folder / f"{user}.log"
        self._screen = self._screen_path.open("wb")
        told = [argument for command in commands for argument in ("-e", command)]
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, "baresip", "-4", "-v", "-f", str(home), *told],
            stdin=subprocess.PIPE,
            stdout=self._screen,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> "Baresip":
        self.wait_for("baresip is ready")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate(timeout=10)
        self._screen.close()

    def press(self, key: str) -> None:
        """Press one of its keys: ``x`` holds, ``X`` resumes, ``b`` hangs up."""
        assert self.process.stdin is not None
        self.process.stdin.write(key.encode())
        self.process.stdin.flush()

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until it has said something so many times."""
        wait_until(lambda: self._screen_path.read_bytes().count(text.encode()) >= times, f"baresip says {text!r}")


def write_tone(path: Path, seconds: int) -> None:
    """Write a WAV file that a phone can have for a voice."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_SAMPLES_PER_S)
        turn = 440 * 2 * math.pi / _SAMPLES_PER_S
        samples = (round(8000 * math.sin(number * turn)) for number in range(seconds * _SAMPLES_PER_S))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
