"""A log that cannot be written never stops a call: it is told, counted, and told again when it is over."""

import signal
import subprocess
from pathlib import Path

import pytest

from firewall.live.control import ask
from tests.live.conftest import Namespaces, machine_root
from tests.live.firewall_process import WITHIN_S, FirewallProcess, policy_text, records, wait_until
from tests.live.sipp import CallCount, answering, calling

pytestmark = [pytest.mark.netns, pytest.mark.timed]


def test_calls_go_on_over_a_full_disk_and_the_loss_is_counted_and_told(testbed: Namespaces, tmp_path: Path) -> None:
    policy, control = tmp_path / "p.yaml", tmp_path / "control"
    policy.write_text(policy_text() + "media: {mode: off}\n")  # messages are what is counted here
    disk = tmp_path / "disk"
    disk.mkdir()
    log = disk / "decisions.jsonl"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)], check=True)
    try:
        (disk / "ballast").write_bytes(bytes(128 * 1024))
        with (
            FirewallProcess(testbed.fw, policy, "--log", str(log), "--control", str(control)) as firewall,
            answering(testbed.psap, tmp_path),
        ):
            with calling(testbed.carrier, tmp_path, "-m", "100", "-r", "100") as uac:
                assert uac.wait() == 0
            assert uac.count() == CallCount(successful=100, failed=0, retransmissions=0)
            firewall.wait_for("ALARM log_unwritable")
            status = ask(control, "status")
            lost = status["log"]["lost_records"]
            assert status["log"]["failing"] is True
            assert status["log"]["error"] == "No space left on device"
            assert 0 < lost < 600
            (disk / "ballast").unlink()
            with calling(testbed.carrier, tmp_path, "-m", "5", "-r", "100") as uac:
                assert uac.wait() == 0
            firewall.wait_for("ALARM log_recovered")
            assert firewall.stop() == 0
        assert firewall.stderr.count("ALARM") == 2
        alarms = records(log, "alarm")
        recovered = [record for record in alarms if record["alarm"]["code"] == "log_recovered"]
        assert f"{lost} records were lost" in recovered[0]["alarm"]["message"]
        # The alarm of the loss is itself among the lost.
        assert len(records(log, "sip_decision")) + lost - (2 - len(alarms)) == 630
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_an_emergency_call_passes_with_a_log_that_is_always_full(testbed: Namespaces, tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(policy_text(guard="enforce"))
    with (
        FirewallProcess(testbed.fw, policy, "--log", "/dev/full") as firewall,
        answering(testbed.psap, tmp_path),
        calling(testbed.carrier, tmp_path, "-m", "5", "-r", "50", "-s", "911") as uac,
    ):
        assert uac.wait() == 0
        firewall.stop()
    assert firewall.stderr.count("ALARM log_unwritable") == 1
    assert wait_until(lambda: "stopped" in firewall.stderr, "it stops cleanly")


@machine_root
@pytest.mark.parametrize("is_rotated", [False, True])
def test_a_disk_that_a_backup_has_frozen_costs_no_emergency_call(
    testbed: Namespaces, tmp_path: Path, is_rotated: bool
) -> None:
    policy, image, disk = tmp_path / "p.yaml", tmp_path / "image", tmp_path / "disk"
    policy.write_text(policy_text(guard="enforce"))
    with image.open("wb") as file:
        file.truncate(16 * 1024 * 1024)
    disk.mkdir()
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(disk)], check=True)
    try:
        log = disk / "decisions.jsonl"
        with (
            FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall,
            answering(testbed.psap, tmp_path),
        ):
            if is_rotated:
                log.rename(disk / "rotated")
            subprocess.run(["fsfreeze", "--freeze", str(disk)], check=True)
            alarm = "ALARM internal_error: the disk of the log has not answered for 3 s"
            try:
                if is_rotated:
                    firewall.process.send_signal(signal.SIGHUP)
                    firewall.wait_for(alarm)
                with calling(testbed.carrier, tmp_path, "-m", "5", "-r", "50", "-s", "911") as uac:
                    firewall.wait_for(alarm)
                    assert uac.wait() == 0
            finally:
                subprocess.run(["fsfreeze", "--unfreeze", str(disk)], check=True)
            assert firewall.process.wait(WITHIN_S) == 70
        with FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall:
            assert firewall.stop() == 0
        loaded = ["loaded"] if is_rotated else ["loaded", "loaded"]
        assert [record["policy"]["action"] for record in records(log, "policy")] == loaded
    finally:
        subprocess.run(["umount", str(disk)], check=True)
