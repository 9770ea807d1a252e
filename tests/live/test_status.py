"""The status as programs read it."""

import msgspec

from firewall.engine.record import StatsFields
from firewall.live.connections import ConnectionsStatus
from firewall.live.pinholes import PinholesStatus
from firewall.live.status import LogStatus, PolicyStatus, Status


def test_the_status_is_one_json_object_with_these_names() -> None:
    status = Status(
        version="0",
        policy=PolicyStatus("p", "p.yaml", "0" * 64, 1),
        started="2026-03-01T10:15:02.118000+0000",
        uptime_s=1.5,
        pid=1,
        takeover=False,
        interfaces=("f0",),
        stats=StatsFields(*range(len(StatsFields.__struct_fields__))),
        log=LogStatus(None, 0, False, None),
        receive_drops=0,
        waiting_to_send=0,
        connections=ConnectionsStatus(*range(len(ConnectionsStatus.__struct_fields__))),
        media=PinholesStatus(*range(len(PinholesStatus.__struct_fields__))),
        internal_errors=0,
    )
    answer = msgspec.json.decode(msgspec.json.encode(status))
    assert set(answer) >= {"version", "policy", "started", "uptime_s", "stats", "log", "receive_drops", "takeover"}
    assert set(answer["policy"]) == {"name", "file", "sha256", "rules"}
    assert set(answer["log"]) == {"path", "lost_records", "failing", "error"}
