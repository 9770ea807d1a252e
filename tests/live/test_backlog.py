"""What waits is decided in order of receipt, and in a flood emergencies come first."""

import signal
from pathlib import Path

import pytest

from firewall.engine.events import DatagramsLost
from firewall.live.backlog import CALM, WAITING_MAX, Backlog
from firewall.live.listener import DATAGRAMS_PER_WAKE_UP, Arrival
from firewall.net.datagram import Datagram
from tests import messages
from tests.live.conftest import Namespaces
from tests.live.firewall_process import FirewallProcess, policy_text, records
from tests.live.peer import request, udp_socket
from tests.live.sipp import CARRIER, PSAP

MS = 1_000_000


def arrival(time_ns: int, payload: bytes = b"") -> Arrival:
    return Arrival(time_ns, Datagram("192.0.2.10", 5060, "198.51.100.10", 5060, payload), 64, 0)


class Socket:
    """A listener with what waits on it."""

    def __init__(self, *waiting: Arrival) -> None:
        self.waiting = list(waiting)
        self.dropped_by_kernel = 0

    def receive(self, limit: int = DATAGRAMS_PER_WAKE_UP) -> list[Arrival]:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken

    def dropped(self) -> int:
        return self.dropped_by_kernel


def backlog(*sockets: Socket) -> Backlog:
    return Backlog(sockets, lambda datagram: datagram.payload == b"sos")


def times(given: list[Arrival]) -> list[int]:
    return [each.time_ns for each in given]


def test_several_sockets_are_read_in_order_of_receipt_however_much_waits() -> None:
    one, other = Socket(*map(arrival, range(0, 400, 2))), Socket(arrival(5), arrival(399))
    waiting = backlog(one, other)
    given = []
    while turn := waiting.next():
        assert len(turn) <= DATAGRAMS_PER_WAKE_UP
        given += times(turn)
    assert given == sorted([*range(0, 400, 2), 5, 399])
    assert not waiting.waits


def test_in_a_flood_emergencies_come_first_and_all_others_in_order() -> None:
    ordinary = [arrival(number) for number in range(CALM + 1)]
    waiting = backlog(Socket(*ordinary, arrival(CALM + 1, b"sos"), arrival(CALM + 2)))
    given = waiting.next()
    assert times(given)[:3] == [CALM + 1, 0, 1]
    assert waiting.waits
    while turn := waiting.next():
        given += turn
    assert times(given)[1:] == [*range(CALM + 1), CALM + 2]
    assert waiting.lost() == 0


def test_an_emergency_that_comes_while_a_flood_is_worked_off_comes_next() -> None:
    socket = Socket(*map(arrival, range(CALM + 100)))
    waiting = backlog(socket)
    waiting.next()
    socket.waiting = [arrival(10_000, b"sos")]
    assert times(waiting.next())[0] == 10_000


def test_what_there_is_no_room_for_is_counted_and_is_no_emergency() -> None:
    socket = Socket(*map(arrival, range(WAITING_MAX + 10)), arrival(1_000_000, b"sos"))
    waiting = backlog(socket)
    given = []
    while socket.waiting:
        given = waiting.next()
    assert 1_000_000 in times(given)
    assert waiting.lost() == 0  # some were decided meanwhile
    socket.waiting = [arrival(2_000_000 + number) for number in range(1000)]
    waiting.next()
    assert waiting.lost() > 500


def test_what_is_given_up_is_counted() -> None:
    waiting = backlog(Socket(*map(arrival, range(CALM + 1)), arrival(1_000_000, b"sos")))
    taken = len(waiting.next())
    waiting.give_up()
    assert waiting.lost() == CALM + 2 - taken
    assert not waiting.waits
    assert waiting.next() == []


def test_a_loss_is_told_once_with_who_sent_most() -> None:
    socket = Socket(*map(arrival, range(3)))
    waiting = backlog(socket)
    waiting.next()
    assert waiting.loss() is None
    socket.dropped_by_kernel = 7
    assert waiting.loss() == DatagramsLost(7, "3 of 3 read at the time are from 192.0.2.10")
    assert waiting.loss() is None


def test_after_a_flood_order_is_that_of_receipt_again() -> None:
    socket = Socket(*map(arrival, range(CALM + 1)))
    waiting = backlog(socket)
    while waiting.next():
        pass
    socket.waiting = [*map(arrival, range(5000, 5100)), arrival(5100, b"sos")]
    assert times(waiting.next() + waiting.next()) == list(range(5000, 5101))


@pytest.mark.netns
@pytest.mark.timed
def test_an_emergency_call_overtakes_a_flood_and_its_answer_does_too(testbed: Namespaces, tmp_path: Path) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text(guard="enforce"))
    flood = request("OPTIONS", CARRIER, PSAP)
    invite = messages.request("INVITE", "urn:service:sos", to="<urn:service:sos>")
    ringing = messages.response(invite, 180).replace(b"urn:service:sos", b"sip:psap@psap.example")
    with (
        FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall,
        udp_socket(testbed.carrier, CARRIER) as caller,
        udp_socket(testbed.psap, PSAP) as called,
    ):
        for sender, receiver, to, said in ((caller, called, PSAP, invite), (called, caller, CARRIER, ringing)):
            firewall.send(signal.SIGSTOP)
            for _ in range(CALM + 100):
                caller.sendto(flood, (PSAP, 5060))
            sender.sendto(said, (to, 5060))
            firewall.send(signal.SIGCONT)
            assert receiver.recv(65_536) == said
            for _ in range(CALM + 100):
                assert called.recv(65_536) == flood
        assert firewall.stop() == 0
    assert len(records(log, "sip_decision")) == 2 * (CALM + 101)
