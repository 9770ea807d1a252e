"""What other programs remove of the interception is put back, and told."""

import asyncio
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from firewall.live.interception import Interception
from firewall.live.nftables import apply_ruleset, remove_table, render_ruleset, table_handle
from firewall.live.testbed import in_namespace
from tests.live.conftest import Namespaces, kernel_state
from tests.live.firewall_process import FirewallProcess, policy_text, records, wait_until
from tests.live.media_call import Call
from tests.live.peer import request, udp_socket
from tests.live.sipp import CARRIER, CARRIER_V6, PSAP, PSAP_V6
from tests.live.test_nftables import CARRIER as CARRIER_ZONE
from tests.live.test_nftables import PSAP as PSAP_ZONE
from tests.live.test_nftables import policy

pytestmark = pytest.mark.netns


def in_fw(testbed: Namespaces, *command: str) -> None:
    subprocess.run(["ip", "netns", "exec", testbed.fw, *command], check=True)


@pytest.mark.parametrize(
    ("command", "what", "effect"),
    [
        ("ip -4 rule del priority 505", "the policy rule or the route of table 505 (IPv4)", "were lost"),
        ("ip -6 rule del priority 505", "the policy rule or the route of table 505 (IPv6)", "were lost"),
        ("ip -4 route flush table 505", "the policy rule or the route of table 505 (IPv4)", "were lost"),
        *(
            (command, "the nftables table inet sosgate or its rules", "passed unseen")
            for command in (
                "nft flush ruleset",
                "nft flush table inet sosgate",
                "nft flush chain inet sosgate prerouting",
                "nft add table inet sosgate { flags dormant; }",
            )
        ),
    ],
)
def test_what_another_program_removes_is_put_back_and_told(
    testbed: Namespaces, tmp_path: Path, command: str, what: str, effect: str
) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text())
    before = kernel_state(testbed.fw)
    with FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall:
        in_force = kernel_state(testbed.fw)
        in_fw(testbed, *command.split())
        firewall.wait_for(f"another program removed {what}: messages {effect} until it was put back")
        assert _without_counts(kernel_state(testbed.fw)) == _without_counts(in_force)
        for caller, called in ((CARRIER, PSAP), (CARRIER_V6, PSAP_V6)):
            options = request("OPTIONS", caller, called)
            with udp_socket(testbed.carrier, caller) as client, udp_socket(testbed.psap, called) as server:
                client.sendto(options, (called, 5060))
                assert server.recv(65_536) == options
        assert firewall.stop() == 0
    assert kernel_state(testbed.fw) == before
    assert len(records(log, "sip_decision")) == 2
    assert [record["alarm"]["code"] for record in records(log, "alarm")] == ["interception_lost"]


@pytest.mark.asyncio
async def test_a_table_in_the_middle_of_a_change_of_ours_is_not_one_that_another_program_removed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[bool] = []
    changing = asyncio.Lock()

    def table_handle() -> int | None:
        looks.append(changing.locked())
        return 7

    async def put_table_back() -> None:
        pytest.fail("nobody removed it")

    monkeypatch.setattr("firewall.live.interception.nftables.table_handle", table_handle)
    monkeypatch.setattr("firewall.live.interception.Handover", lambda: SimpleNamespace(lost=lambda: 0))
    interception = Interception((), put_table_back, pytest.fail, changing)
    looks.clear()
    async with changing:
        looking = asyncio.create_task(interception.mend())
        for _ in range(10):
            await asyncio.sleep(0)
        assert looks == []
    await looking
    assert looks
    assert all(looks)


def test_media_of_calls_that_are_up_goes_on_and_nothing_else_passes_when_the_table_is_back(
    testbed: Namespaces, tmp_path: Path
) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(policy_text())
    with FirewallProcess(testbed.fw, policy) as firewall, Call(testbed) as call:
        call.set_up()
        assert call.to_called(0, 5) == 5
        in_fw(testbed, "nft", "flush", "ruleset")
        firewall.wait_for("interception_lost")
        assert call.to_called(10, 5) == 5
        call.bye()
        call.until_closed(200)
        wait_until(lambda: call.to_called(20, 1) == 0, "media is refused again")


def test_what_cannot_be_put_back_is_told_until_it_can(testbed: Namespaces, tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(policy_text())
    with FirewallProcess(testbed.fw, policy) as firewall:
        in_fw(testbed, "ip", "link", "set", "lo", "down")
        try:
            firewall.wait_for("messages are lost, for it cannot be put back: Network is down")
        finally:
            in_fw(testbed, "ip", "link", "set", "lo", "up")
        firewall.wait_for("(IPv6): messages were lost until it was put back")
        in_fw(testbed, "ip", "rule", "add", "priority", "1", "lookup", "main")
        try:
            in_fw(testbed, "ip", "route", "add", "unreachable", "default", "metric", "9999")
            firewall.wait_for(
                "(IPv4): messages are lost, for it cannot be put back: another policy rule comes before it"
            )
        finally:
            in_fw(testbed, "ip", "rule", "del", "priority", "1")
            in_fw(testbed, "ip", "route", "del", "unreachable", "default", "metric", "9999")


def test_messages_that_another_programs_rules_on_input_drop_are_told_until_they_let_them_in(
    testbed: Namespaces, tmp_path: Path
) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text())
    host_firewall = "chain inet host i { type filter hook input priority 0; policy drop; }"
    options = request("OPTIONS", CARRIER, PSAP)
    with (
        FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall,
        udp_socket(testbed.carrier, CARRIER) as client,
        udp_socket(testbed.psap, PSAP) as server,
    ):
        in_fw(testbed, "nft", f"add table inet host; add {host_firewall}")
        try:
            client.sendto(options, (PSAP, 5060))
            firewall.wait_for(
                "interception_lost: 1 message that the kernel was to hand to sosgate was lost since the start"
            )
            in_fw(testbed, "nft", "add rule inet host i meta mark 0x505 accept")
            client.sendto(options, (PSAP, 5060))
            assert server.recv(65_536) == options
        finally:
            in_fw(testbed, "nft", "delete table inet host")
        assert firewall.stop() == 0
    assert len(records(log, "sip_decision")) == 1
    assert [record["alarm"]["code"] for record in records(log, "alarm")] == ["interception_lost"]


def test_a_table_that_was_made_anew_has_another_handle(testbed: Namespaces) -> None:
    def handle() -> int | None:
        return in_namespace(testbed.fw, table_handle)

    assert handle() is None
    in_namespace(testbed.fw, lambda: apply_ruleset(render_ruleset(policy(CARRIER_ZONE))))
    first = handle()
    in_namespace(testbed.fw, lambda: apply_ruleset(render_ruleset(policy(PSAP_ZONE), keep_flows=True)))
    assert handle() == first
    in_namespace(testbed.fw, lambda: apply_ruleset(render_ruleset(policy(CARRIER_ZONE))))
    assert handle() not in (None, first)
    in_namespace(testbed.fw, remove_table)
    assert handle() is None


def _without_counts(state: str) -> list[str]:
    return sorted(line for line in state.splitlines() if "counter" not in line and "elements" not in line)
