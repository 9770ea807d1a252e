"""Starting, reloading and refusing to start."""

import os
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest

from firewall.engine.timestamp import instant
from firewall.live import testbed as live_testbed
from firewall.live.control import ask
from firewall.live.nftables import PROXY_PORT
from tests.live.conftest import Namespaces, kernel_state
from tests.live.firewall_process import WITHIN_S, FirewallProcess, policy_text, records, wait_until
from tests.live.kernel_sets import ip
from tests.live.sipp import PSAP, answering, calling

pytestmark = pytest.mark.netns


def refused(namespace: str, policy: Path, *arguments: str, prelude: tuple[str, ...] = ()) -> str:
    """Start where it cannot, and return what it says; nothing may be left behind."""
    before = kernel_state(namespace)
    process = FirewallProcess(namespace, policy, *arguments, prelude=prelude)
    try:
        assert process.process.wait(WITHIN_S) == 2
    finally:
        process.kill()
    assert kernel_state(namespace) == before
    assert len(process.lines) == 1, process.stderr
    return process.stderr


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "p.yaml"
    path.write_text(policy_text())
    return path


def test_it_says_what_is_in_force(testbed: Namespaces, policy: Path) -> None:
    with FirewallProcess(testbed.fw, policy) as firewall:
        firewall.stop()
    assert firewall.lines[0][1] == f"sosgate: policy testbed ({policy}, 1 rule) on f0, f1, ready"


def test_the_status_tells_times_as_the_log_does(testbed: Namespaces, policy: Path, tmp_path: Path) -> None:
    log, control = tmp_path / "log", tmp_path / "control"
    with FirewallProcess(testbed.fw, policy, "--log", str(log), "--control", str(control)) as firewall:
        started = ask(control, "status")["started"]
        firewall.stop()
    assert instant(started) <= instant(records(log, "policy")[0]["timestamp"])


def test_names_of_files_that_are_no_utf_8_are_told_with_their_bytes(
    testbed: Namespaces, policy: Path, tmp_path: Path
) -> None:
    named, log = (tmp_path / os.fsdecode(name) for name in (b"p\xff.yaml", b"l\xff.jsonl"))
    policy.rename(named)
    control = tmp_path / "control"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        with FirewallProcess(
            testbed.fw, named, "--log", str(log), "--control", str(control), environment=environment
        ) as firewall:
            status = ask(control, "status")
            named.unlink()
            firewall.send(signal.SIGHUP)
            firewall.wait_for("cannot read the policy")
            assert firewall.stop() == 0
    assert (status["policy"]["file"], status["log"]["path"]) == (f"{tmp_path}/p\\xff.yaml", f"{tmp_path}/l\\xff.jsonl")
    assert [record["policy"]["action"] for record in records(log, "policy")] == ["loaded", "refused"]
    assert "internal_error" not in firewall.stderr


def test_an_interface_that_is_not_there_yet_or_any_more_is_a_warning(testbed: Namespaces, policy: Path) -> None:
    policy.write_text(policy.read_text().replace("[f1]", "[f1, f9]"))
    with FirewallProcess(testbed.fw, policy) as firewall:
        firewall.wait_for('warning: there is no interface "f9" here')
        ip(testbed.fw, "link", "add", "f9", "type", "veth", "peer", "name", "f10")
        try:
            firewall.wait_for('there is an interface "f9" now')
            ip(testbed.fw, "link", "set", "f9", "name", "f8")
            assert wait_until(lambda: firewall.stderr.count('there is no interface "f9" here') == 2, "it is missed")
        finally:
            subprocess.run(["ip", "-n", testbed.fw, "link", "del", "f9"], stderr=subprocess.DEVNULL, check=False)
            subprocess.run(["ip", "-n", testbed.fw, "link", "del", "f8"], stderr=subprocess.DEVNULL, check=False)


def test_an_interface_that_is_a_port_of_a_bridge_of_no_zone_is_a_warning(testbed: Namespaces, policy: Path) -> None:
    policy.write_text(policy.read_text().replace("[f1]", "[f1, f9]"))
    ip(testbed.fw, "link", "add", "f9", "type", "veth", "peer", "name", "f10")
    ip(testbed.fw, "link", "add", "b9", "type", "bridge")
    try:
        with FirewallProcess(testbed.fw, policy) as firewall:
            ip(testbed.fw, "link", "set", "f9", "master", "b9")
            firewall.wait_for('warning: the interface "f9" is a port of "b9", by which its traffic comes in')
            policy.write_text(policy.read_text().replace("f9]", "f9, b9]"))
            firewall.send(signal.SIGHUP)
            firewall.wait_for('there is an interface "f9" now; its traffic is looked at')
    finally:
        ip(testbed.fw, "link", "del", "b9")
        ip(testbed.fw, "link", "del", "f9")


def test_an_alternative_name_of_an_interface_is_a_warning_that_says_which_to_write(
    testbed: Namespaces, policy: Path
) -> None:
    policy.write_text(policy.read_text().replace("[f1]", "[f1, enp9s0]"))
    ip(testbed.fw, "link", "property", "add", "dev", "f1", "altname", "enp9s0")
    try:
        with FirewallProcess(testbed.fw, policy) as firewall:
            firewall.wait_for('warning: "enp9s0" is another name of the interface "f1"')
    finally:
        ip(testbed.fw, "link", "property", "del", "dev", "f1", "altname", "enp9s0")


@pytest.mark.parametrize(
    ("missing", "needed"),
    [
        ("-all", "CAP_NET_ADMIN"),
        ("-net_admin,-net_raw", "CAP_NET_ADMIN"),
        ("-net_bind_service", "CAP_NET_BIND_SERVICE is needed in this network namespace"),
    ],
)
def test_without_rights_it_says_which_are_needed(testbed: Namespaces, policy: Path, missing: str, needed: str) -> None:
    sentence = refused(testbed.fw, policy, prelude=("setpriv", f"--bounding-set={missing}", f"--inh-caps={missing}"))
    assert needed in sentence


def test_with_too_few_open_files_it_says_how_many_there_may_be(testbed: Namespaces, policy: Path) -> None:
    sentence = refused(testbed.fw, policy, prelude=("sh", "-c", 'ulimit -n 32 && exec "$@"', "sh"))
    assert "cannot start sosgate: no more than 32 files may be open at once here; it needs more" in sentence


@pytest.mark.parametrize("limit", ["-v", "-d"])
def test_with_too_little_memory_it_says_how_much_there_may_be(testbed: Namespaces, policy: Path, limit: str) -> None:
    sentence = refused(testbed.fw, policy, prelude=("sh", "-c", f'ulimit {limit} 97280 && exec "$@"', "sh"))
    assert "cannot start sosgate: no more than 95 MB of memory may be used here; it needs 256 and more" in sentence


@pytest.mark.timed
def test_a_second_one_in_the_same_namespace_is_refused_and_the_first_goes_on(
    testbed: Namespaces, policy: Path, tmp_path: Path
) -> None:
    with FirewallProcess(testbed.fw, policy) as firewall:
        assert "another sosgate, or another program, has UDP port" in refused(testbed.fw, policy)
        with answering(testbed.psap, tmp_path), calling(testbed.carrier, tmp_path, "-m", "5", "-r", "50") as uac:
            assert uac.wait() == 0
        assert firewall.stop() == 0


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8:1::1"])
def test_a_proxy_port_in_use_is_one_sentence(testbed: Namespaces, policy: Path, address: str) -> None:
    def occupy() -> socket.socket:
        opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((address, PROXY_PORT))
        return opened

    with live_testbed.in_namespace(testbed.fw, occupy):
        assert f"UDP port {PROXY_PORT}: Address already in use" in refused(testbed.fw, policy)


@pytest.mark.parametrize("everywhere", ["0.0.0.0", "::"])  # noqa: S104 (that is what is refused)
def test_a_program_that_has_the_peers_port_on_every_address_is_a_warning(
    testbed: Namespaces, policy: Path, everywhere: str
) -> None:
    def occupy() -> socket.socket:
        opened = socket.socket(socket.AF_INET6 if ":" in everywhere else socket.AF_INET, socket.SOCK_DGRAM)
        opened.bind((everywhere, 5060))
        return opened

    with live_testbed.in_namespace(testbed.fw, occupy), FirewallProcess(testbed.fw, policy) as firewall:
        firewall.wait_for(
            "warning: another program has UDP port 5060 on every address: messages of peers from that port"
        )


def test_without_nft_it_says_what_to_install(testbed: Namespaces, policy: Path) -> None:
    hide_nft = 'mount -t tmpfs none /usr/sbin && exec "$@"'
    sentence = refused(testbed.fw, policy, prelude=("unshare", "-m", "sh", "-c", hide_nft, "sh"))
    assert "nft is not installed; install nftables" in sentence


def test_a_log_or_a_control_socket_that_cannot_be_is_one_sentence(
    testbed: Namespaces, policy: Path, tmp_path: Path
) -> None:
    assert "cannot open the log" in refused(testbed.fw, policy, "--log", str(tmp_path / "no" / "log"))
    assert "cannot open the control socket" in refused(testbed.fw, policy, "--control", str(tmp_path / "no" / "sock"))
    occupied = tmp_path / "file"
    occupied.write_text("mine")
    assert "a file that is no socket is there" in refused(testbed.fw, policy, "--control", str(occupied))
    assert "a folder is there; name a file in it" in refused(testbed.fw, policy, "--control", str(tmp_path))
    assert occupied.read_text() == "mine"
    assert not (tmp_path / "no").exists()


def test_a_loopback_that_is_down_is_one_sentence(testbed: Namespaces, policy: Path) -> None:
    in_fw = ["ip", "netns", "exec", testbed.fw, "ip", "link", "set", "lo"]
    subprocess.run([*in_fw, "down"], check=True)
    try:
        assert 'the loopback interface is down here: "ip link set lo up"' in refused(testbed.fw, policy)
    finally:
        subprocess.run([*in_fw, "up"], check=True)


@pytest.mark.timed
def test_sighup_brings_a_good_policy_into_force_and_calls_go_on(
    testbed: Namespaces, policy: Path, tmp_path: Path
) -> None:
    log = tmp_path / "decisions.jsonl"
    with (
        FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall,
        answering(testbed.psap, tmp_path, PSAP, "-nr"),  # no message is sent twice: each must have arrived
        calling(testbed.carrier, tmp_path, "-m", "150", "-r", "100", "-d", "500", "-nr") as uac,
    ):
        wait_until(lambda: log.read_text().count("INVITE"), "calls have begun")
        policy.write_text(policy_text(down="block").replace("everything-else", "renamed"))
        firewall.send(signal.SIGHUP)
        firewall.wait_for("new policy in force")
        assert "counter packets 0 bytes 0 drop" in kernel_state(testbed.fw)
        assert uac.wait() == 0
        with calling(testbed.carrier, tmp_path, "-m", "1") as later:
            assert later.wait() == 0
        firewall.stop()
    actions = [record["policy"]["action"] for record in records(log, "policy")]
    assert actions == ["loaded", "applied"]
    rules = {record["decision"]["rule"] for record in records(log, "sip_decision")}
    assert rules == {"everything-else", "renamed"}


def _unknown_field(policy: Path) -> None:
    policy.write_text(policy_text(rules="  - name: bad\n    when: sip.metod == 1\n    action: drop\n"))


def _impossible_interface(policy: Path) -> None:
    policy.write_text(policy_text().replace("[f0]", '["eth*"]'))


def _gone(policy: Path) -> None:
    policy.unlink()


def _a_pipe(policy: Path) -> None:
    policy.unlink()
    os.mkfifo(policy)


def test_sighup_with_an_unusable_policy_keeps_the_old_one_and_says_why(
    testbed: Namespaces, policy: Path, tmp_path: Path
) -> None:
    log = tmp_path / "decisions.jsonl"
    with FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall:
        table = kernel_state(testbed.fw)
        for spoil, why in (
            (_unknown_field, 'unknown field "sip.metod"'),
            (_impossible_interface, '"eth*"'),
            (_a_pipe, "it is a pipe"),
            (_gone, "No such file"),
        ):
            spoil(policy)
            firewall.send(signal.SIGHUP)
            _, sentence = firewall.wait_for(why)
            assert "policy refused, the old one stays in force" in sentence
            assert "p.yaml" in sentence
            assert kernel_state(testbed.fw) == table
        with answering(testbed.psap, tmp_path), calling(testbed.carrier, tmp_path, "-m", "5", "-r", "50") as uac:
            assert uac.wait() == 0
        firewall.stop()
    loaded, *refusals = records(log, "policy")
    assert [bool(refusal["policy"]["error"]) for refusal in refusals] == [True] * 4
    assert {refusal["policy"]["action"] for refusal in refusals} == {"refused"}
    assert {record["decision"]["policy_sha256"] for record in records(log, "sip_decision")} == {
        loaded["policy"]["sha256"]
    }


def test_sighup_after_a_rotation_writes_the_new_log(testbed: Namespaces, policy: Path, tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    with FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall:
        log.rename(tmp_path / "decisions.jsonl.1")
        firewall.send(signal.SIGHUP)
        firewall.wait_for("new policy in force")
        assert stat.S_IMODE(log.stat().st_mode) & 0o137 == 0
        firewall.stop()
    assert [record["event_type"] for record in records(tmp_path / "decisions.jsonl.1")] == ["policy"]
    assert [record["event_type"] for record in records(log)] == ["policy", "stats"]


def test_sighup_in_the_middle_of_a_start_is_a_reload_right_after_it(testbed: Namespaces, policy: Path) -> None:
    agents = "\n".join(f"scanner {number}" for number in range(400_000))  # takes time to read: the start has a middle
    (policy.parent / "agents.txt").write_text(agents)
    policy.write_text(f"sets: {{scanners: {{file: agents.txt}}}}\n{policy.read_text()}")
    firewall = FirewallProcess(testbed.fw, policy)

    def is_held_back() -> bool:
        status = Path(f"/proc/{firewall.process.pid}/status").read_text()
        return bool(int(status.partition("SigBlk:")[2].split()[0], 16) & 1 << signal.SIGHUP - 1)

    try:
        wait_until(is_held_back, "SIGHUP waits for its handler")
        firewall.send(signal.SIGHUP)
        firewall.wait_for(", ready")
        firewall.wait_for("new policy in force")
        assert firewall.stop() == 0
    finally:
        firewall.kill()


def test_a_stop_in_the_middle_of_a_reload_leaves_nothing(testbed: Namespaces, policy: Path) -> None:
    before = kernel_state(testbed.fw)
    for pause_s in (0.0, 0.01, 0.02, 0.04):
        with FirewallProcess(testbed.fw, policy) as firewall:
            firewall.send(signal.SIGHUP)
            time.sleep(pause_s)
            assert firewall.stop() == 0
        assert kernel_state(testbed.fw) == before


def test_a_log_written_a_short_while_ago_means_calls_may_be_in_progress(
    testbed: Namespaces, policy: Path, tmp_path: Path
) -> None:
    log = tmp_path / "decisions.jsonl"
    for _ in range(2):
        with FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall:
            firewall.stop()
    assert [record["policy"]["takeover"] for record in records(log, "policy")] == [False, True]


def test_systemd_hears_readiness_watchdog_reload_and_stop(testbed: Namespaces, policy: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(10)
        heard: list[str] = []

        def hear(what: str) -> None:
            while not heard or what not in heard[-1]:
                heard.append(systemd.recv(4096).decode())

        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        with FirewallProcess(testbed.fw, policy, environment=environment) as firewall:
            hear("READY=1")
            hear("WATCHDOG=1")
            hear("WATCHDOG=1")
            firewall.send(signal.SIGHUP)
            hear("RELOADING=1\nMONOTONIC_USEC=")
            hear("READY=1")
            os.kill(firewall.process.pid, signal.SIGTERM)
            hear("STOPPING=1")
            assert firewall.process.wait(WITHIN_S) == 0
