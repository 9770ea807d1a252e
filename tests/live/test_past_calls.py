"""The calls of an earlier run, and when it ended, read from the end of its log."""

import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from firewall.engine.engine import Engine
from firewall.engine.outputs import Write
from firewall.engine.record import encode
from firewall.live import past_calls as module
from firewall.live.past_calls import last_record_at, recall_calls
from tests.messages import request
from tests.scene import Scene, policy

LINE = b'{"event_type":"stats","timestamp":"2026-03-01T10:15:02.118000+0000"}\n'


def write_log(path: Path, *call_ids: str) -> None:
    scene = Scene(policy("  - {name: all, action: allow}"))
    with path.open("wb") as log:
        for call_id in call_ids:
            for output in scene.carrier(request(call_id=call_id)).outputs:
                if isinstance(output, Write):
                    log.write(encode(output.record) + b"\n")


def known(path: Path) -> list[str]:
    engine = Engine(policy("  - {name: all, action: allow}"))
    recall_calls(engine, path)
    return [call.call_id for call in engine.calls()]


def test_the_calls_of_the_log_are_found(tmp_path: Path) -> None:
    write_log(tmp_path / "log", "one", "two")
    assert known(tmp_path / "log") == ["one", "two"]


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_log(tmp_path / "log", *(f"call-{number}" for number in range(50)))
    monkeypatch.setattr(module, "LOOK_BACK_BYTES", 3000)
    found = known(tmp_path / "log")
    assert 0 < len(found) < 5
    assert found[-1] == "call-49"


def test_calls_that_began_before_the_log_was_rotated_are_found_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """logrotate and upgrades of packages come at the same hour of the night."""
    write_log(tmp_path / "log.1", *(f"call-{number}" for number in range(50)))
    write_log(tmp_path / "log", "later")
    found = known(tmp_path / "log")
    assert (len(found), found[-2:]) == (51, ["call-49", "later"])
    monkeypatch.setattr(module, "LOOK_BACK_BYTES", 3000)
    found = known(tmp_path / "log")
    assert 1 < len(found) < 5
    monkeypatch.setattr(module, "LOOK_BACK_BYTES", 500)
    assert known(tmp_path / "log") in ([], ["later"])


def test_a_log_that_is_mostly_line_ends_is_gone_through_quickly(tmp_path: Path) -> None:
    write_log(tmp_path / "log", "one")
    with (tmp_path / "log").open("ab") as log:
        log.write(b"\r\n\n" * 500_000)
    began_s = time.process_time()
    assert known(tmp_path / "log") == ["one"]
    assert time.process_time() - began_s < 0.6, "without a look at each it takes a tenth of that"


def test_a_missing_log_and_a_folder_have_no_calls(tmp_path: Path) -> None:
    assert known(tmp_path / "none") == []
    assert known(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (LINE, datetime(2026, 3, 1, 10, 15, 2, 118000, tzinfo=UTC)),
        (LINE + b'{"timest', datetime(2026, 3, 1, 10, 15, 2, 118000, tzinfo=UTC)),
        (b"", None),
        (b"\x00\xff\nnot json\n[]\n{}\n", None),
        (b'{"timestamp": 5}\n', None),
    ],
)
def test_the_last_record_tells_when_an_earlier_run_was_here(
    tmp_path: Path, content: bytes, expected: datetime | None
) -> None:
    (tmp_path / "log").write_bytes(content)
    assert last_record_at(tmp_path / "log") == expected
    assert last_record_at(tmp_path / "none") is None
    assert last_record_at(tmp_path) is None


def test_a_pipe_is_not_waited_for_to_learn_of_an_earlier_run(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    told: list[datetime | None] = []
    asking = threading.Thread(target=lambda: told.append(last_record_at(tmp_path / "pipe")), daemon=True)
    asking.start()
    asking.join(10)
    assert told == [None]
