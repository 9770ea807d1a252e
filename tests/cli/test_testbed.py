"""``sosgate testbed`` on the command line: what is printed. The namespaces themselves: tests/live/test_testbed.py."""

import json

import pytest

from firewall.cli.main import run_command
from firewall.live.testbed import NamespaceStatus

FOUND = (
    NamespaceStatus("carrier", "up", ("c0", "lo"), ("192.0.2.10/24", "2001:db8:1::10/64"), (4711,)),
    NamespaceStatus("fw", "down"),
    NamespaceStatus("psap", "foreign"),
)


def test_status_is_a_table_for_people_and_json_for_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("firewall.cli.testbed.statuses", lambda: FOUND)
    assert run_command(["testbed", "status"]) == 0
    table = capsys.readouterr().out
    for text in ("c0·f0 [fw] f1·p0", "192.0.2.10/24", "4711", "foreign"):
        assert text in table
    assert run_command(["testbed", "status", "--format", "json"]) == 0
    namespaces = json.loads(capsys.readouterr().out)["namespaces"]
    assert [namespace["state"] for namespace in namespaces] == ["up", "down", "foreign"]
    assert namespaces[0]["addresses"] == ["192.0.2.10/24", "2001:db8:1::10/64"]


def test_down_says_what_was_removed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("firewall.cli.testbed.down", lambda: ("carrier", "fw"))
    assert run_command(["testbed", "down"]) == 0
    assert capsys.readouterr().out == "removed: carrier, fw\n"
    monkeypatch.setattr("firewall.cli.testbed.down", lambda: ())
    assert run_command(["testbed", "down"]) == 0
    assert capsys.readouterr().out == "there was no testbed\n"
