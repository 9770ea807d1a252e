"""Media for a person: a line for each RTP source."""

import io

from rich.console import Console

from firewall.engine.record import StreamFields
from firewall.replay.media_report import FlowChange, FlowQuality, MediaTally
from firewall.replay.media_table import print_flow_changes, print_media


def printed(tally: MediaTally) -> str:
    console = Console(file=io.StringIO(), width=160)
    print_media(tally, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def flow(call_id: str | None = "c1\x1b[31m", verdict: str = "allow") -> FlowQuality:
    stream = StreamFields(7, 0, 95, 16340, 5, 12.5, 3.25)
    ends = ("192.0.2.1", 4000, "2001:db8::2", 5000)
    reason = "media_negotiated" if verdict == "allow" else "media_wrong_source"
    return FlowQuality(
        call_id, *ends, "audio", "rtp", verdict, reason, None, verdict == "allow", 95, 16340, False, (stream,), ()
    )


def test_nothing_is_said_of_no_media() -> None:
    assert printed(MediaTally()) == ""


def test_a_flow_is_told_with_loss_in_percent_and_nothing_of_the_wire_reaches_the_terminal() -> None:
    tally = MediaTally()
    tally.flows = [flow(), flow(None, "drop")]
    tally.packets.update(allow=95, drop=95)
    tally.refused["media_wrong_source"] = 95
    text = printed(tally)
    (line,) = [line for line in text.splitlines() if "allow" in line]
    assert line.split()[-5:] == ["95", "5", "5.0", "3.250", "12.500"]
    assert "\x1b" not in text
    assert "media packets: 95 passed, 95 dropped (95 by media_wrong_source)" in text


def test_many_flows_are_cut_and_the_cut_is_told() -> None:
    tally = MediaTally()
    tally.flows = [flow()] * 60
    assert "10 more flows; --format json lists them all" in printed(tally)


def test_a_flow_that_only_one_policy_lets_pass_is_told_with_both_outcomes() -> None:
    console = Console(file=io.StringIO(), width=160)
    print_flow_changes([FlowChange(flow("c1"), flow("c1", "drop")), FlowChange(None, flow("c2", "drop"))], console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "2 media flows pass under one policy only" in text
    assert "c1: audio 192.0.2.1:4000 -> [2001:db8::2]:5000: passes -> drop (media_wrong_source)" in text
    assert "left alone -> drop (media_wrong_source)" in text
