"""Recorded traffic through the engine: frames → datagrams → the same events as live, at the capture's own times."""

from collections.abc import Callable, Sequence
from itertools import islice

from firewall.engine.outputs import Write, WriteDecision
from firewall.engine.record import Record
from firewall.engine.timestamp import NEVER_NS
from firewall.errors import SipSyntaxError
from firewall.net.capture_record import CaptureRecord, Cut
from firewall.net.datagram import Datagram
from firewall.replay.lane import Lane, OwnReply
from firewall.replay.reader import AHEAD_FRAMES, CaptureReader, MediaArrival
from firewall.replay.report import CaptureReport, Change, PolicyTally, ReplayReport
from firewall.replay.source import Progress, check_captures, open_capture
from firewall.replay.streams import Arrival
from firewall.ruleset.emergency import wire_text
from firewall.ruleset.policy import Policy
from firewall.sip.message import Message, parse_message


def replay(
    paths: list[str],
    policy: Policy,
    *,
    against: Policy | None = None,
    continuous: bool = False,
    takeover: bool = False,
    log: Callable[[Record], None] | None = None,
    progress: Progress | None = None,
) -> ReplayReport:
    """Replay captures under a policy, and under a second one beside it when ``against`` is given.

    Each capture is a run of its own, with a fresh engine: calls, limits and bans of one capture do not reach into the
    next. ``continuous`` makes them parts of one recording, in the order given. ``takeover``: calls were in progress
    when a run begins, as after a daemon's restart (``Started``). ``log`` gets each record of ``policy``.

    Raises:
        CaptureError, MachineError: a capture cannot be read; nothing has been decided then, unless it is a pipe's
            content or the machine that fails later.
    """
    check_captures(paths)
    run = _Run(policy, against, log, takeover=takeover)
    for path in paths:
        run.capture(path, progress, fresh=not continuous)
    run.stop()
    return run.report


class _Run:
    def __init__(
        self, policy: Policy, against: Policy | None, log: Callable[[Record], None] | None, *, takeover: bool
    ) -> None:
        self.report = ReplayReport([], PolicyTally(policy), PolicyTally(against) if against else None)
        self._ports = policy.signalling_ports | (against.signalling_ports if against else frozenset())
        self._interfaces = _known_interfaces(policy, against)
        self._log = log
        self._takeover = takeover
        self._lanes: list[Lane] = []
        self._reader: CaptureReader | None = None
        self._started = False
        self._last_ns = 0
        self._deadline_ns = NEVER_NS

    def capture(self, path: str, progress: Progress | None, *, fresh: bool) -> None:
        """Take one capture from its first frame to its last."""
        if fresh:
            self.stop()
        found = CaptureReport(wire_text(path))
        self.report.captures.append(found)
        with open_capture(path, progress) as capture:
            if self._reader is None:
                of_one_place = fresh and capture.is_of_one_place  # what comes behind it may be of others
                self._lanes = [self._lane(self.report.policy, self._log)]
                self._lanes += [self._lane(tally) for tally in (self.report.against,) if tally is not None]
                self._reader = CaptureReader(found, self._ports, self._interfaces, of_one_place=of_one_place)
            reader = self._reader
            reader.found = found
            for tally in filter(None, (self.report.policy, self.report.against)):
                tally.capture = found.path
            flows = reader.endpoints.flows
            rtp_packets = flows.negotiated
            is_signalling_mostly = False
            while frames := list(islice(capture.frames, AHEAD_FRAMES)):
                found.packets += len(frames)
                long_ways = (self._ahead if is_signalling_mostly else self._in_turn)(frames, reader)
                is_signalling_mostly = 2 * long_ways > len(frames)
        found.rtp_packets += flows.negotiated - rtp_packets
        found.packets += sum(not isinstance(lost, Cut) for lost in capture.unreadable)
        found.unreadable += capture.unreadable
        for arrival in reader.finish(self._last_ns):
            self._arrival(arrival, reader)

    def _ahead(self, frames: Sequence[CaptureRecord], reader: CaptureReader) -> int:
        """Read the messages in some frames together, then decide them; return how many frames were not just counted."""
        long_ways = 0
        for frame, arrivals in zip(frames, reader.read_ahead(frames), strict=True):
            if arrivals is None:
                long_ways += self._in_turn((frame,), reader)
            else:
                if frame.timestamp_ns >= self._deadline_ns:
                    self._pass_deadlines(frame.timestamp_ns, reader)
                long_ways += 1
                self._frame(reader, frame, arrivals)
        return long_ways

    def _in_turn(self, frames: Sequence[CaptureRecord], reader: CaptureReader) -> int:
        """Read some frames one by one; return how many were not just counted."""
        count, rest, long_ways = reader.endpoints.flows.count, iter(frames), 0
        latest: CaptureRecord | None = None
        while (frame := count(rest, self._deadline_ns)) is not None:
            if frame.timestamp_ns >= self._deadline_ns:
                self._pass_deadlines(frame.timestamp_ns, reader)
                if count(iter((frame,)), NEVER_NS) is None:
                    continue
            latest = frame
            long_ways += 1
            self._frame(reader, frame, None)
        if latest is not frames[-1]:
            self._last_ns = frames[-1].timestamp_ns
        return long_ways

    def _frame(self, reader: CaptureReader, frame: CaptureRecord, read: Sequence[Arrival] | None) -> None:
        self._last_ns = frame.timestamp_ns
        if reader.open_bodies:
            for quiet in reader.quiet(frame.timestamp_ns):
                self._arrival(quiet, reader)
        for arrival in reader.read(frame) if read is None else read:
            if isinstance(arrival, Arrival):
                self._arrival(arrival, reader)
            else:
                self._media(arrival, frame, reader)
        if not self._started:
            self._at(self._last_ns)
        self._ask_again(reader)

    def _ask_again(self, reader: CaptureReader) -> None:
        """After something was decided: what is known of flows and of the next deadline may be wrong now."""
        self._deadline_ns = NEVER_NS
        for lane in self._lanes:
            if lane.deadline_ns is not None and lane.deadline_ns < self._deadline_ns:
                self._deadline_ns = lane.deadline_ns
            if lane.changed:
                reader.endpoints.flows.renew(lane.changed)
                lane.changed.clear()

    def _media(self, arrival: MediaArrival, frame: CaptureRecord, reader: CaptureReader) -> None:
        """Have a media packet decided; when nothing but its count is asked of the next one, take the short way then."""
        datagram = arrival.datagram
        self._at(arrival.now_ns)
        concerned = [lane for lane in self._lanes if lane.engine.concerns(datagram)]
        for lane in concerned:
            lane.media(datagram, arrival.now_ns)
        self._ask_again(reader)
        if arrival.is_plain:
            flows = [flow for lane in concerned if (flow := lane.engine.media_flow(datagram)) is not None]
            if len(flows) == len(concerned):
                passes = all(lane.engine.media_facts(datagram) is not None for lane in self._lanes)
                reader.endpoints.flows.learn(frame, tuple(flows), negotiated=arrival.negotiated, passes=passes)

    def _pass_deadlines(self, now_ns: int, reader: CaptureReader) -> None:
        for lane in self._lanes:
            lane.pass_deadlines(now_ns)
        self._ask_again(reader)

    def stop(self) -> None:
        """End the run of the captures so far."""
        if self._started:
            for lane in self._lanes:
                lane.stop(self._last_ns)
        self._lanes = []
        self._reader = None
        self._started = False
        self._deadline_ns = NEVER_NS

    def _at(self, now_ns: int) -> None:
        """Go on to an instant; the run begins with the first."""
        self._last_ns = now_ns
        if not self._started:
            self._started = True
            for lane in self._lanes:
                lane.start(now_ns, takeover=self._takeover)

    def _lane(self, tally: PolicyTally, log: Callable[[Record], None] | None = None) -> Lane:
        tally.run += 1
        if log is None:
            return Lane(tally.policy, tally.note, is_logged=False)

        def take(write: Write) -> None:
            tally.note(write)
            log(write.record)

        return Lane(tally.policy, take)

    def _arrival(self, arrival: Arrival, reader: CaptureReader) -> None:
        found, datagram = reader.found, arrival.datagram
        self._at(arrival.now_ns)
        if arrival.is_copy:
            found.copies += 1
            return
        sighting, repeated = reader.sightings.sight(datagram, arrival.seen_on, arrival.seen_ns)
        if repeated:
            found.copies += 1
            found.sip_messages += sighting.parsed
            return
        answers = [lane.receive(datagram, arrival.now_ns) for lane in self._lanes]
        answer = answers[0]
        if isinstance(answer, WriteDecision) and answer.facts.message is not None:
            message: Message | None = answer.facts.message
        else:
            found.own_replies += answer == "own reply"
            message = _message_of(answers, datagram)
        if message is not None:
            sighting.parsed = True
            found.sip_messages += 1
            reader.endpoints.learn(message)
        else:
            reader.media(datagram)
        if len(answers) > 1:
            before, after = answers
            if before != "own reply" and after != "own reply":
                self._compare(found.path, before, after)

    def _compare(self, path: str, written: WriteDecision | None, other: WriteDecision | None) -> None:
        if _effect(written) == _effect(other):
            return
        before, after = written.record if written else None, other.record if other else None
        told = before or after
        if told is None:
            return
        self.report.changed.append(
            Change(
                capture=path,
                packet=told.pcap_cnt,
                timestamp=told.timestamp,
                sip=told.sip,
                before=before.decision if before else None,
                after=after.decision if after else None,
                emergency=(before.emergency if before else None) or (after.emergency if after else None),
            )
        )


def _known_interfaces(policy: Policy, against: Policy | None) -> frozenset[str]:
    """The interface names that zones of the policies know. Any other name says nothing about where a packet came in:
    the capture was taken somewhere else."""
    each = [{name for zone in rules.zones for name in zone.interfaces} for rules in (policy, against) if rules]
    named = [names for names in each if names]
    return frozenset(set.intersection(*named)) if named else frozenset()


def _effect(written: WriteDecision | None) -> tuple[str, bool] | None:
    return (written.decision.verdict, written.override is None) if written else None


def _message_of(answers: list[WriteDecision | OwnReply | None], datagram: Datagram) -> Message | None:
    """Return the SIP message that some policy took a datagram for, None where it is none."""
    for answer in answers:
        if isinstance(answer, WriteDecision):
            if answer.facts.message is not None:
                return answer.facts.message
        elif answer is not None:
            try:
                return parse_message(datagram.payload, over_stream=datagram.transport == "TCP")
            except SipSyntaxError:
                continue
    return None
