"""baresip in a namespace of the testbed, for tests: a soft phone with a tone for a voice, driven by its keys."""

from pathlib import Path

from tests.live.firewall_process import wait_until
from tests.live.soft_phone import SoftPhone, write_tone

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


class Baresip(SoftPhone):
    """One baresip; ends when the ``with`` block does. It answers at once."""

    def __init__(self, namespace: str, user: str, ip: str, ports: str, folder: Path, *commands: str) -> None:
        home = folder / user
        home.mkdir()
        write_tone(home / "tone.wav", 30)
        (home / "config").write_text(_CONFIGURATION.format(ip=ip, tone=home / "tone.wav", ports=ports))
        (home / "accounts").write_text(f"<sip:{user}@{ip}>;regint=0;answermode=auto;audio_codecs=pcmu/8000/1\n")
        (home / "contacts").write_text("")
        told = [argument for command in commands for argument in ("-e", command)]
        super().__init__(namespace, ["baresip", "-4", "-v", "-f", str(home), *told], folder / f"{user}.log")

    def __enter__(self) -> "Baresip":
        self.wait_for("baresip is ready")
        return self

    def press(self, key: str) -> None:
        """Press one of its keys: ``x`` holds, ``X`` resumes, ``b`` hangs up."""
        self.write(key)

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until it has said something so many times."""
        wait_until(lambda: self.said().count(text.encode()) >= times, f"baresip says {text!r}")
