"""More TCP connections than there is room for."""

import asyncio
import re
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from firewall.live import connections as live_connections
from firewall.live.connection import Connection
from firewall.live.connections import Connections
from firewall.live.links import InterfaceNames
from tests.live.conftest import Namespaces
from tests.live.firewall_process import records, wait_until
from tests.live.peer import read_bytes, request, tcp_client, tcp_server
from tests.live.sipp import CARRIER, CARRIER_V6, PSAP, PSAP_V6
from tests.live.test_connections import OTHER_SOURCE, Stage, connect_and_read, message

pytestmark = pytest.mark.netns


def test_too_many_connections_of_one_source_are_refused_aloud_and_other_sources_are_not_hurt(
    testbed: Namespaces, tmp_path: Path
) -> None:
    stage = Stage(testbed, tmp_path, "prlimit", "--nofile=400:400")
    with stage.firewall, stage.server, ExitStack() as opened:
        limit = stage.connections()["max_per_source"]
        assert stage.connections()["max"] == 2 * limit
        pairs = [stage.connect() for _ in range(limit)]
        for client, server in pairs:
            opened.enter_context(client)
            opened.enter_context(server)
        pairs[0][0].sendall(message("OPTIONS"))
        assert read_bytes(pairs[0][1], len(message("OPTIONS"))) == message("OPTIONS")
        with pytest.raises(ConnectionResetError):
            connect_and_read(testbed.carrier)
        assert stage.connections()["refused"] == 1
        (alarm,) = wait_until(lambda: records(stage.log, "alarm"), "an alarm")
        assert f"this source has {limit} TCP connections already" in alarm["alarm"]["message"]
        assert (alarm["alarm"]["code"], alarm["alarm"]["reason"]) == ("connection_refused", "connection_limit")
        assert (alarm["src_ip"], alarm["dest_ip"], alarm["proto"]) == (CARRIER, PSAP, "TCP")
        for _ in range(limit):
            for end in stage.connect(OTHER_SOURCE):
                opened.enter_context(end)
        # Full: what never carried a message makes room, the longest idle first.
        other = opened.enter_context(tcp_server(testbed.psap, PSAP_V6))
        third = opened.enter_context(tcp_client(testbed.carrier, CARRIER_V6, PSAP_V6))
        opened.enter_context(other.accept()[0])
        third.sendall(message("OPTIONS"))
        with pytest.raises(ConnectionResetError):
            pairs[1][0].recv(1)
        assert stage.connections()["crowded_out"] == 1
        pairs[0][0].sendall(message("OPTIONS"))
        assert read_bytes(pairs[0][1], len(message("OPTIONS"))) == message("OPTIONS")


def test_an_emergency_call_gets_through_when_two_sources_hold_every_connection_and_keep_it_busy(
    testbed: Namespaces, tmp_path: Path
) -> None:
    stage = Stage(testbed, tmp_path, "prlimit", "--nofile=400:400")
    with stage.firewall, stage.server, ExitStack() as opened:
        for source in (CARRIER, OTHER_SOURCE):
            for _ in range(stage.connections()["max_per_source"]):
                client, server = (opened.enter_context(end) for end in stage.connect(source))
                client.sendall(message("OPTIONS"))
                assert read_bytes(server, len(message("OPTIONS"))) == message("OPTIONS")
        invite = request("INVITE", CARRIER_V6, PSAP_V6, user="911")
        other = opened.enter_context(tcp_server(testbed.psap, PSAP_V6))
        caller = opened.enter_context(tcp_client(testbed.carrier, CARRIER_V6, PSAP_V6))
        caller.sendall(invite)
        assert read_bytes(opened.enter_context(other.accept()[0]), len(invite)) == invite
        (alarm,) = wait_until(lambda: records(stage.log, "alarm"), "an alarm")
        assert alarm["alarm"]["code"] == "connections_closed"
        assert re.search(
            r"all (\d+) TCP connections are in use, \d+ of them by .*: 1 were closed", alarm["alarm"]["message"]
        )
        assert (stage.connections()["refused"], stage.connections()["crowded_out"]) == (0, 1)


def test_in_a_flood_of_newcomers_room_is_looked_for_a_few_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[float] = []

    def no_room(_open: object, _newcomer: object, _most: int, now: float, _is_urgent: object) -> list[Connection]:
        looked.append(now)
        return []

    async def refuse_many() -> float:
        loop = asyncio.get_running_loop()
        connections = Connections(loop, [], InterfaceNames(), lambda _: None, lambda *_: None, print, lambda _: False)
        begun = loop.time()
        for source in range(10_000):
            assert not connections._crowd_out(source)
        connections.close()
        return loop.time() - begun

    monkeypatch.setattr(live_connections, "making_room", no_room)
    took_s = asyncio.run(refuse_many())
    assert 1 <= len(looked) <= 1 + took_s / 0.25


def test_a_stop_in_a_flood_takes_no_longer_than_it_may() -> None:
    reset: list[object] = []

    class Busy:
        def finish(self) -> None:
            time.sleep(0.02)

        def abort(self) -> None:
            reset.append(self)

    async def stop() -> float:
        loop = asyncio.get_running_loop()
        nothing: Any = print
        connections = Connections(loop, [], InterfaceNames(), nothing, nothing, nothing, nothing)
        connections._open = dict.fromkeys([Busy() for _ in range(500)])
        begun = loop.time()
        await connections.stop(0.1)
        return loop.time() - begun

    assert asyncio.run(stop()) < 5
    assert len(reset) == 500
