"""Captures of other tools: ``replay`` counts the SIP messages that tshark counts; every difference has its reason."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from firewall.errors import CaptureError
from firewall.net.exported_pdu import EXPORT
from firewall.replay.report import CaptureReport
from firewall.ruleset.policy import Policy
from tests.oracle.foreign import FOREIGN
from tests.oracle.sharkd import shown
from tests.replay.calls import RULES_CALLS, make_policy
from tests.replay.replayed import replay_capture

# How many messages we count, how many tshark does, and why.
DIFFERENCES = {
    "HEP 1": (1, 0, "tshark 4.0 has no reader of HEP"),
    "HEP 2": (1, 0, "tshark 4.0 has no reader of HEP"),
    "HEP 3": (1, 0, "tshark 4.0 has no reader of HEP"),
    "SCTP": (0, 1, "SCTP is not read, which is said under unreadable, with what makes a capture of it that is read"),
    "overlapping fragments": (1, 2, "the kernel discards what overlaps, so that the live firewall sees no datagram"),
    "UDP length of nought": (1, 0, "a network card is going to fill it in; tshark takes it for a damaged one"),
    "line ends before": (1, 0, "RFC 3261 §7.5: they are to be ignored; tshark takes the datagram for none"),
    "ICMP quotes SIP": (1, 2, "a message quoted by an error was not sent: it is not decided, so it is not counted"),
    "ICMPv6 quotes SIP": (1, 2, "a message quoted by an error was not sent: it is not decided, so it is not counted"),
}
MUTATIONS_EACH = 12


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    return make_policy(tmp_path, RULES_CALLS)


def read(data: bytes, folder: Path, policy: Policy) -> CaptureReport:
    path = folder / "foreign"
    path.write_bytes(data)
    (report,) = replay_capture([str(path)], policy).report.captures
    return report


@pytest.mark.parametrize("name", FOREIGN)
def test_sip_messages_are_counted_as_by_tshark(name: str, tmp_path: Path, policy: Policy) -> None:
    ours = read(FOREIGN[name], tmp_path, policy).sip_messages
    rows = shown(tmp_path / "foreign", "sip", "sip.Method", "sip.Status-Code")
    theirs = sum(1 for _, *row in rows for values in row for value in values.split(",") if value)
    expected = DIFFERENCES.get(name)
    assert (ours, theirs) == (expected[:2] if expected is not None else (theirs, theirs))


def test_what_is_not_read_is_said_once_for_a_capture(tmp_path: Path, policy: Policy) -> None:
    def losses(name: str) -> list[tuple[int, str]]:
        return [(each.packet, each.reason) for each in read(FOREIGN[name], tmp_path, policy).unreadable]

    what = "SIP in what is not read (SCTP, an unknown tunnel, a port for --sip-port)"
    assert losses("SCTP") == [(1, f"{what}: 1 packets, this is the first; {EXPORT}")]
    private = "link type 147 is for private use: only who wrote the capture knows what is in it"
    assert losses("user-defined") == [(1, private), (2, private)]
    assert [number for number, _ in losses("cut after 200 bytes")] == [1, 2]
    assert losses("first fragment missing")[0][0] == 1


def mutated(data: bytes, seed: int) -> Iterator[bytes]:
    """Endless damage: bytes changed, taken out, doubled, and the end cut off."""
    random = Random(seed)
    while True:
        damaged = bytearray(data)
        for _ in range(random.choice((1, 1, 3, 9))):
            at = random.randrange(len(damaged) + 1)
            match random.randrange(5):
                case 0 | 1:
                    damaged[at : at + 1] = bytes([random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))])
                case 2:
                    del damaged[at : at + random.choice((1, 4, 40))]
                case 3:
                    damaged[at:at] = damaged[at : at + random.choice((1, 4, 40))]
                case _:
                    del damaged[max(at, 30) :]
        yield bytes(damaged)


@pytest.mark.parametrize("name", FOREIGN)
def test_a_damaged_capture_is_read_as_far_as_it_goes_or_refused_in_a_sentence(
    name: str, tmp_path: Path, policy: Policy
) -> None:
    refusals: list[str] = []
    for data in itertools.islice(mutated(FOREIGN[name], seed=len(name)), MUTATIONS_EACH):
        try:
            report = read(data, tmp_path, policy)
        except CaptureError as error:
            refusals.append(str(error))
            continue
        assert report.sip_messages <= 100
        assert all(0 < each.packet <= report.packets + 1 for each in report.unreadable)
    assert [refusal for refusal in refusals if "\n" in refusal] == []
