"""The testbed itself: made, shown, removed, as root and as an ordinary user."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from firewall.errors import OperatorError
from firewall.live import testbed
from tests.live.firewall_process import policy_text, wait_until

pytestmark = pytest.mark.netns

REPOSITORY = Path(__file__).parents[2]
PREFIX = f"b{os.getpid()}-"


def names() -> list[str]:
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return sorted(line.split()[0] for line in listed.splitlines() if line.startswith(PREFIX))


@pytest.fixture(autouse=True)
def _nothing_stays() -> object:
    yield
    testbed.down(PREFIX)
    assert names() == []


def test_it_is_up_shown_and_gone_and_both_commands_may_be_repeated() -> None:
    assert [status.state for status in testbed.statuses(PREFIX)] == ["down"] * 3
    testbed.up(PREFIX)
    testbed.up(PREFIX)
    assert names() == [PREFIX + name for name in ("carrier", "fw", "psap")]
    shown = {status.name: status for status in testbed.statuses(PREFIX)}
    assert {status.state for status in shown.values()} == {"up"}
    assert set(shown[PREFIX + "carrier"].addresses) == {"192.0.2.10/24", "2001:db8:1::10/64", "203.0.113.66/32"}
    assert shown[PREFIX + "fw"].interfaces == ("f0", "f1", "lo")
    assert testbed.down(PREFIX) == (PREFIX + "carrier", PREFIX + "fw", PREFIX + "psap")
    assert testbed.down(PREFIX) == ()


@pytest.mark.parametrize(
    ("source", "destination"),
    [("192.0.2.10", "198.51.100.10"), ("203.0.113.66", "198.51.100.10"), ("2001:db8:1::10", "2001:db8:2::10")],
)
def test_both_sides_reach_each_other_at_once_through_the_firewalls_namespace(source: str, destination: str) -> None:
    testbed.up(PREFIX)

    def bound(address: str) -> socket.socket:
        opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        opened.settimeout(5)
        opened.bind((address, 9))
        return opened

    with (
        testbed.in_namespace(PREFIX + "carrier", lambda: bound(source)) as here,
        testbed.in_namespace(PREFIX + "psap", lambda: bound(destination)) as there,
    ):
        here.sendto(b"to", (destination, 9))
        assert there.recvfrom(9)[0] == b"to"
        there.sendto(b"fro", (source, 9))
        assert here.recvfrom(9)[0] == b"fro"


def test_a_namespace_of_somebody_else_is_refused_and_left_alone() -> None:
    foreign = PREFIX + "psap"
    subprocess.run(["ip", "netns", "add", foreign], check=True)
    try:
        for action in (testbed.up, testbed.down):
            with pytest.raises(OperatorError, match=f'network namespace "{foreign}" exists that sosgate did not make'):
                action(PREFIX)
        assert names() == [foreign]
    finally:
        subprocess.run(["ip", "netns", "del", foreign], check=True)


def test_a_part_of_a_testbed_is_refused_until_it_is_removed() -> None:
    testbed.up(PREFIX)
    subprocess.run(["ip", "netns", "del", PREFIX + "carrier"], check=True)
    with pytest.raises(OperatorError, match='run "sosgate testbed down" first'):
        testbed.up(PREFIX)
    testbed.down(PREFIX)
    testbed.up(PREFIX)


def test_a_testbed_without_one_of_its_cables_is_refused_until_it_is_removed() -> None:
    testbed.up(PREFIX)
    subprocess.run(["ip", "-n", f"{PREFIX}fw", "link", "del", "f0"], check=True)
    with pytest.raises(OperatorError, match=r'somebody removed f0, c0; run "sosgate testbed down" first'):
        testbed.up(PREFIX)
    testbed.down(PREFIX)
    testbed.up(PREFIX)


def test_a_failure_half_way_removes_what_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(testbed, "_ROUTES", map(fail, "x"))  # the last that is made
    with pytest.raises(Exception, match="cannot make the testbed's network namespaces: No space left on device"):
        testbed.up(PREFIX)
    assert names() == []


def test_ctrl_c_in_the_middle_waits_until_the_testbed_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    fill = testbed._fill

    def interrupted(prefix: str) -> None:
        signal.raise_signal(signal.SIGINT)
        fill(prefix)

    monkeypatch.setattr(testbed, "_fill", interrupted)
    with pytest.raises(KeyboardInterrupt):
        testbed.up(PREFIX)
    assert [status.state for status in testbed.statuses(PREFIX)] == ["up"] * 3


def test_down_takes_the_cables_away_from_programs_that_still_run() -> None:
    testbed.up(PREFIX)
    command = ["ip", "netns", "exec", PREFIX + "fw", "sleep", "60"]
    with subprocess.Popen(command) as program:
        try:
            wait_until(lambda: program.pid in testbed.statuses(PREFIX)[1].processes, "it is shown as running there")
            testbed.down(PREFIX)
            assert names() == []
        finally:
            program.kill()


ROOTLESS = """
set -e
work=$(mktemp -d)
trap 'kill -9 $daemon $uas || true; rm -r $work' EXIT
id -u
$PYTHON -m firewall testbed up
$PYTHON -m firewall testbed status --format json
printf %s "$POLICY" > $work/policy.yaml
ip netns exec fw $PYTHON -m firewall run --policy $work/policy.yaml --log $work/log --control $work/control &
daemon=$!
for attempt in $(seq 100); do
  if $PYTHON -m firewall ctl status --control $work/control > $work/status 2> $work/error; then break; fi
  kill -0 $daemon
done
cd $work
ip netns exec psap sipp -sn uas -i 198.51.100.10 -p 5060 -nostdin > $work/uas < /dev/null 2>&1 &
uas=$!
until ip netns exec psap ss -Hlun sport = :5060 | grep -q .; do kill -0 $uas; done
ip netns exec carrier sipp -sn uac -i 192.0.2.10 -p 5060 198.51.100.10:5060 -m 5 -r 10 -nostdin > $work/uac 2>&1
kill -9 $uas
kill -TERM $daemon
wait $daemon
grep -c sip_decision $work/log
ip netns exec fw nft list ruleset
cd "$OLDPWD"
$PYTHON -m firewall testbed down
ip netns list
"""

# The ordinary user must be able to reach the interpreter and the repository; a private mount namespace opens the way.
OPEN_THE_WAY = """
set -e
stash=$STASH
mount -t tmpfs -o mode=755 none "$stash"
for path in "$@"; do mkdir -p "$stash$path"; mount --rbind "$path" "$stash$path"; done
closed=$(for path in "$@"; do
  while [ "$path" != / ]; do path=$(dirname "$path"); [ $(( 0$(stat -c %a "$path") & 1 )) = 1 ] || echo "$path"; done
done | sort -u)
for path in $closed; do mount -t tmpfs -o mode=755 none "$path"; done
for path in "$@"; do mkdir -p "$path"; mount --rbind "$stash$path" "$path"; done
exec setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all \\
  unshare -Urnm sh -c "$ROOTLESS"
"""


@pytest.mark.timed
def test_testbed_daemon_and_calls_work_for_an_ordinary_user_inside_unshare(tmp_path: Path) -> None:
    command = ["unshare", "-Urnm", "sh", "-c", ROOTLESS]
    if os.getuid() == 0:
        paths = [str(REPOSITORY), sys.base_prefix]
        command = ["unshare", "-m", "--propagation", "private", "sh", "-c", OPEN_THE_WAY, "sh", *paths]
    environment = {"STASH": str(tmp_path), "ROOTLESS": ROOTLESS, "PYTHON": sys.executable, "POLICY": policy_text()}
    done = subprocess.run(
        ["timeout", "--signal=KILL", "100", *command],  # with all that it has started, the daemon above all
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        env={**os.environ, **environment, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stderr
    head, _, rest = done.stdout.partition("{")
    assert head.startswith("0\nthe testbed is up")
    status, end = json.JSONDecoder().raw_decode("{" + rest)
    assert [namespace["state"] for namespace in status["namespaces"]] == ["up"] * 3
    assert ("{" + rest)[end:] == "\n30\nremoved: carrier, fw, psap\n"
