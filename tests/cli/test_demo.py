"""The demo as a person runs it: what it shows, keeps and leaves behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from firewall.cli.demo_calls import DISPATCH_CENTRE
from firewall.cli.demo_stage import PREFIX, Stage, sosgate
from firewall.live import testbed

pytestmark = [pytest.mark.netns, pytest.mark.timed, pytest.mark.timeout(180)]
ROOT = Path(__file__).parents[2]
Json = dict[str, Any]


def wait_until(happened: Callable[[], object], what: str, within_s: float = 30) -> None:
    give_up = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < give_up, f"{what} did not happen within {within_s} s"
        time.sleep(0.01)


def programs_of(demo: int) -> list[int]:
    """Return the processes that a demo started and that still run."""
    mark = f"SOSGATE_DEMO={demo}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue  # it has just ended
    return found


def namespaces() -> list[str]:
    return sorted(path.name for path in Path("/run/netns").glob(f"{PREFIX}*"))


def records(folder: Path, event_type: str) -> list[Json]:
    lines = (folder / "decisions.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["event_type"] == event_type]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A demo that has begun; it is ended, with what it made, when the test is over."""
    process = start(tmp_path)
    yield process
    if process.poll() is None:
        process.terminate()
    process.communicate(timeout=30)


def start(folder: Path, command: list[str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command or sosgate("demo"),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str], float]:
    """A whole demo: its folder, what it said, and how long it took."""
    folder = tmp_path_factory.mktemp("demo")
    begun = time.monotonic()
    process = start(folder)
    out, err = process.communicate(timeout=120)
    done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    return folder / "build" / "demo", done, time.monotonic() - begun


Finished = tuple[Path, subprocess.CompletedProcess[str], float]


def test_it_succeeds_within_forty_seconds_and_leaves_no_namespace(finished: Finished) -> None:
    _, done, took_s = finished
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert took_s < 40
    assert namespaces() == []


def test_a_folder_that_it_may_not_empty_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "demo").touch()
    process = start(tmp_path)
    out, err = process.communicate(timeout=60)
    assert (out, err) == ("", "error: cannot empty build/demo: Not a directory; run the demo where you may write\n")
    assert process.returncode == 2


def test_it_shows_the_blocked_call_with_rule_and_line_and_the_mended_run(finished: Finished) -> None:
    folder, done, _ = finished
    alarm = records(folder, "alarm")[0]["alarm"]
    place = f'rule "{alarm["rule"]}" at {alarm["file"]}:{alarm["line"]}'
    assert f"The 911 call was blocked by {place}; with the mended policy it completes." in " ".join(done.stdout.split())
    quoted = (folder / "broken.yaml").read_text().splitlines()[alarm["line"] - 1]
    assert f"> {alarm['line']:3} │ {quoted}" in done.stdout
    assert "\x1b" not in done.stdout


def test_its_log_tells_the_whole_story(finished: Finished) -> None:
    folder, _, _ = finished
    hurt = [
        record
        for record in records(folder, "sip_decision")
        if record["emergency"] is not None and record["decision"]["verdict"] != "allow"
    ]
    assert hurt
    assert all(record["decision"]["enforced"] for record in hurt)
    assert [record["alarm"]["code"] for record in records(folder, "alarm")] == ["emergency_blocked"]
    outcomes = [record["outcome"] for record in records(folder, "emergency_call")]
    assert outcomes[0] == "blocked"
    assert outcomes[-1] == "completed"
    assert [record["policy"]["action"] for record in records(folder, "policy")] == ["loaded", "applied"]


def test_the_capture_holds_every_message_of_the_log_and_the_firewalls_own_rejects(finished: Finished) -> None:
    folder, _, _ = finished
    fields = subprocess.run(
        ["tshark", "-r", folder / "traffic.pcap", "-Y", "sip", "-T", "fields", "-e", "ip.src", "-e", "sip.Status-Code"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.splitlines()
    seen = [line.split() for line in fields]
    decided = records(folder, "sip_decision")
    rejected = [record for record in decided if record["decision"]["verdict"] == "reject"]
    assert len(rejected) == seen.count([DISPATCH_CENTRE, "403"]) == 1
    messages = [source for source, *status in seen if status != ["403"]]
    assert sorted(messages) == sorted(record["src_ip"] for record in decided)


def test_lint_names_the_rule_that_blocked_the_call(finished: Finished) -> None:
    folder, _, _ = finished
    rule = records(folder, "alarm")[0]["alarm"]["rule"]
    findings = json.loads((folder / "lint-broken.json").read_text())["findings"]
    assert rule in {finding["rule"] for finding in findings if finding["severity"] == "error"}
    assert list((folder / "witness").glob("*.pcap"))
    assert json.loads((folder / "lint-mended.json").read_text())["result"] != "refuted"


def test_a_mended_policy_that_mends_nothing_is_told_and_exit_1(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "firewall", tmp_path / "firewall")
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    shutil.copy(tmp_path / "rules" / "demo" / "broken.yaml", tmp_path / "rules" / "demo" / "mended.yaml")
    process = start(tmp_path, [sys.executable, "-m", "firewall", "demo"])
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (1, "")
    assert "the 911 call failed again" in out
    assert namespaces() == []


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=lambda given: str(given),
)
def test_a_signal_in_the_middle_of_the_calls_leaves_nothing_behind(
    number: signal.Signals, code: int, running: subprocess.Popen[str], tmp_path: Path
) -> None:
    log = tmp_path / "build" / "demo" / "decisions.jsonl"
    wait_until(lambda: log.exists() and b"sip_decision" in log.read_bytes(), "the first call")
    assert programs_of(running.pid)
    running.send_signal(number)
    assert running.wait(30) == code
    assert namespaces() == []
    assert programs_of(running.pid) == []


def test_ctrl_c_while_the_stage_is_being_set_leaves_nothing_behind(running: subprocess.Popen[str]) -> None:
    wait_until(lambda: (Path("/run/netns") / f"{PREFIX}carrier").exists(), "the first namespace")
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 130
    assert namespaces() == []
    assert programs_of(running.pid) == []


def test_what_a_killed_demo_left_is_cleared_by_the_next(running: subprocess.Popen[str], tmp_path: Path) -> None:
    log = tmp_path / "build" / "demo" / "decisions.jsonl"
    wait_until(lambda: log.exists() and b"sip_decision" in log.read_bytes(), "the first call")
    running.kill()
    running.wait(30)
    wait_until(lambda: not any(each.processes for each in testbed.statuses(PREFIX)), "the end of its programs")
    assert namespaces()
    with Stage(tmp_path):
        assert len(namespaces()) == 3
    assert namespaces() == []


def test_a_second_demo_beside_the_first_is_refused(running: subprocess.Popen[str], tmp_path: Path) -> None:
    wait_until((tmp_path / "build" / "demo" / "daemon.log").exists, "the start of the daemon")
    second = start(tmp_path)
    _, said = second.communicate(timeout=30)
    assert second.returncode == 2
    assert said.startswith('error: another demo is running in the network namespace "demo-')
    assert running.poll() is None


def test_a_namespace_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    name = f"{PREFIX}fw"
    subprocess.run(["ip", "netns", "add", name], check=True, timeout=10)
    try:
        process = start(tmp_path)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 2
        assert name in said
        assert said.count("\n") == 1
        assert namespaces() == [name]
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True, timeout=10)


def test_an_ordinary_user_is_told_what_to_run(tmp_path: Path) -> None:
    process = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", *sosgate("demo")],
        cwd=tmp_path,
        env=os.environ | {"HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (process.returncode, process.stdout) == (2, "")
    assert "root" in process.stderr
    assert process.stderr.count("\n") == 1
