"""``sosgate demo``: a 911 call is blocked by a realistic mistake, found, and mended, with real calls."""

import json
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firewall.cli.demo_calls import ORDINARY_NUMBERS, SCAN_MESSAGES, SCANNER, CallCount, Callers
from firewall.cli.demo_log import GrowingLog, RoundInLog
from firewall.cli.demo_screen import Screen
from firewall.cli.demo_stage import Stage, sosgate, wait_until
from firewall.cli.shipped_rules import shipped_rules
from firewall.errors import MachineError

FOLDER = Path("build/demo")
EMERGENCY_NUMBER = ("911",)
ALARM_WITHIN_S = 1.0
KEPT = (
    ("decisions.jsonl", "the decision log of the whole run"),
    ("traffic.pcap", "the same traffic, as the carrier's side of the firewall saw it"),
    ("policy.yaml", "the policy as it is loaded at the end; broken.yaml and mended.yaml beside it"),
    ("lint-broken.json", "lint's findings; the call it found is in witness/"),
)

_LINT_WITHIN_S = 60
_CAPTURE_WITHIN_S = 5
_RELOAD_WITHIN_S = 5
_LEDGER_WITHIN_S = 5


def demo() -> int:
    """Show a 911 call blocked by a broken policy, the reason, and the mended policy: real calls, own namespaces.

    Everything is kept under build/demo/. Needs root, or an ordinary user inside `unshare -Urnm`.
    """
    screen = Screen()
    with Stage(FOLDER) as stage:
        show = _Demo(screen, stage)
        show.play()
    if show.failures:
        screen.step("Not everything happened as told")
        for failure in show.failures:
            screen.say(f"✗ {failure}", "bold red")
        return 1
    return 0


@dataclass(frozen=True, slots=True)
class _Round:
    """One round of calls: what SIPp counted, what the log says."""

    ordinary: CallCount
    emergency: CallCount
    log: RoundInLog

    @property
    def scans_dropped(self) -> int:
        """How many of the scanner's messages the firewall dropped."""
        decisions = (record["decision"] for record in self.log.decisions(source=SCANNER))
        return sum(decision["verdict"] == "drop" and decision["enforced"] for decision in decisions)

    def rows(self) -> list[tuple[str, str, bool]]:
        """Return what became of the calls: what, how many, whether that is as it should be."""
        return [
            ("ordinary calls", _answered(self.ordinary), self.ordinary.succeeded == self.ordinary.placed),
            ("911 call", _answered(self.emergency), self.emergency.succeeded == self.emergency.placed),
            (
                "scanner's messages",
                f"{self.scans_dropped} of {SCAN_MESSAGES} dropped",
                self.scans_dropped == SCAN_MESSAGES,
            ),
        ]


@dataclass
class _Demo:
    """The story; ``failures`` collects what did not happen as told."""

    screen: Screen
    stage: Stage
    failures: list[str] = field(default_factory=list)
    blocked_by: str = "no rule"
    blocked_call_id: str = "CALL-ID"

    def play(self) -> None:
        """Tell it from the first step to the last."""
        screen, stage = self.screen, self.stage
        self.policy, self.broken, self.mended = (FOLDER / f"{name}.yaml" for name in ("policy", "broken", "mended"))
        try:
            if FOLDER.exists():
                shutil.rmtree(FOLDER)
        except OSError as error:
            needs = "run the demo where you may write"
            raise MachineError("empty", str(FOLDER), error.strerror or str(error), needs=needs) from error
        shutil.copytree(shipped_rules() / "demo", FOLDER)
        shutil.copyfile(self.broken, self.policy)
        self.log = GrowingLog(FOLDER / "decisions.jsonl")

        screen.title("A 911 call through a firewall: blocked, explained, mended")
        screen.step("Three network namespaces, and sosgate between them")
        screen.network()
        capture = stage.start_capture(FOLDER / "traffic.pcap", "dumpcap.log")
        arguments = ["--policy", str(self.policy), "--log", str(FOLDER / "decisions.jsonl")]
        daemon = stage.start_daemon([*arguments, "--control", str(FOLDER / "control.sock")], "daemon.log")
        screen.command(f"sosgate run --policy {self.policy} --log {FOLDER}/decisions.jsonl")
        screen.say("ready", "green")
        self.callers = Callers(stage)
        self.callers.start_dispatch_centre()

        screen.step(f"Real calls through {self.policy}, a policy with a realistic mistake")
        before = self._place_calls("broken")
        self._explain(before)
        self._lint_broken(before)
        self._mend(daemon)
        screen.step("The same calls again")
        after = self._place_calls("mended")
        self._expect_mended(after)

        screen.step("Before and after")
        rows = zip(before.rows(), after.rows(), strict=True)
        screen.before_and_after([(what, was, became) for (what, was, _), (_, became, _) in rows])
        screen.say(f"The 911 call was blocked by {self.blocked_by}; with the mended policy it completes.", "bold")
        wait_until(self._all_captured, "the capture did not show every message", _CAPTURE_WITHIN_S)
        stage.stop(daemon)
        stage.stop(capture)
        screen.step("Kept for you")
        screen.kept(FOLDER, KEPT)
        screen.step("To look closer")
        log = FOLDER / "decisions.jsonl"
        screen.command(f"sosgate explain {self.blocked_call_id} --log {log}")
        screen.command(f"sosgate replay {FOLDER}/traffic.pcap --policy {self.broken} --against {self.mended}")

    def _place_calls(self, name: str) -> _Round:
        """Place one round of calls, and wait until the log has told their outcome."""
        start = len(self.log.update())
        calls = self.callers.call(f"{name}-ordinary", ORDINARY_NUMBERS)
        scan = self.callers.scan(f"{name}-scanner")
        ordinary = self.callers.count(f"{name}-ordinary", calls)
        self.callers.count(f"{name}-scanner", scan)

        call = self.callers.call(f"{name}-911", EMERGENCY_NUMBER)
        # The log is read all the while, so that the alarm's delay is measured and not assumed.
        wait_until(lambda: self.log.update() and call.poll() is not None, "the 911 call did not end", 20)
        emergency = self.callers.count(f"{name}-911", call)
        wait_until(
            lambda: RoundInLog(self.log.since(start)).outcomes(),
            "the log did not tell the outcome of the 911 call",
            _LEDGER_WITHIN_S,
        )
        this = _Round(ordinary, emergency, RoundInLog(self.log.since(start)))
        self.screen.counts("What SIPp counted at the two ends, and the firewall between them:", this.rows())
        self._expect(ordinary.succeeded == ordinary.placed == len(ORDINARY_NUMBERS), "an ordinary call failed")
        self._expect(this.scans_dropped == SCAN_MESSAGES, "a message of the scanner was not dropped")
        return this

    def _explain(self, before: _Round) -> None:
        """Show the alarm, the rule and the call, straight from the decision log."""
        self.screen.step("What was blocked and why, from the decision log")
        hurt, alarm, delay_s = before.log.hurt_emergency_decisions(), before.log.alarm(), before.log.alarm_delay_s()
        self._expect(before.emergency.succeeded == 0, "the 911 call was not blocked by the broken policy")
        self._expect("blocked" in before.log.outcomes(), 'the ledger has no emergency call with outcome "blocked"')
        if alarm is None or delay_s is None:
            self._expect(False, "there is no alarm about the 911 call")
            return
        told = alarm.record["alarm"]
        self._expect(delay_s <= ALARM_WITHIN_S, f"the alarm came {delay_s:.1f} s after the message")
        self.screen.alarm(told["message"], delay_s)
        self._expect(told.get("rule") is not None and told.get("line") is not None, "the alarm names no rule and line")
        self.blocked_by = f'rule "{told.get("rule")}" at {told.get("file")}:{told.get("line")}'
        self.screen.say(f"{self.blocked_by}:")
        if told.get("line") is not None:
            self.screen.policy_lines(self.policy, told["line"])
        self.blocked_call_id = hurt[0]["sip"]["call_id"]
        self.screen.ladder(before.log.decisions(call_id=self.blocked_call_id))

    def _lint_broken(self, before: _Round) -> None:
        """Show that lint finds the same rule without any traffic."""
        self.screen.step("What lint would have said, before any call was lost")
        self.screen.command(f"sosgate lint {self.broken} --witness {FOLDER}/witness")
        code, result = self._lint(self.broken, "lint-broken.json", "--witness", str(FOLDER / "witness"))
        self._expect(code == 1, f"lint ended with {code} on the broken policy, not with 1")
        alarm = before.log.alarm()
        rule = alarm.record["alarm"].get("rule") if alarm else None
        findings = [found for found in result["findings"] if found["severity"] == "error" and found["rule"] == rule]
        self._expect(bool(findings), f'lint does not name the rule "{rule}"')
        if findings:
            self.screen.finding(findings[0])
        if len(result["findings"]) > 1:
            others = len(result["findings"]) - 1
            self.screen.say(f"and {others} more finding{'s' * (others > 1)}, in {FOLDER}/lint-broken.json", "dim")

    def _mend(self, daemon: subprocess.Popen[bytes]) -> None:
        """Check the mended policy and have the running daemon load it."""
        self.screen.step("The mended policy, checked and loaded into the running daemon")
        self.screen.difference(self.broken, self.mended)
        self.screen.command(f"sosgate lint {self.mended}")
        code, result = self._lint(self.mended, "lint-mended.json")
        self._expect(code == 0, f"lint ended with {code} on the mended policy, not with 0")
        self.screen.say(f"{result['result']}, {len(result['findings'])} findings", "green" if code == 0 else "bold red")
        start = len(self.log.update())
        replacement = self.policy.with_suffix(".new")
        shutil.copyfile(self.mended, replacement)
        replacement.replace(self.policy)
        daemon.send_signal(signal.SIGHUP)
        actions = wait_until(
            lambda: RoundInLog(self.log.since(start)).policy_actions(),
            "the daemon did not load the mended policy",
            _RELOAD_WITHIN_S,
        )
        self._expect(actions == ["applied"], f"the mended policy was {actions[0]}")
        self.screen.command(f"kill -HUP {daemon.pid}")
        self.screen.say(f"policy {actions[0]}; no call in progress is forgotten", "green")

    def _expect_mended(self, after: _Round) -> None:
        self._expect(after.emergency.succeeded == after.emergency.placed == 1, "the 911 call failed again")
        self._expect("completed" in after.log.outcomes(), 'the ledger has no emergency call with outcome "completed"')
        self._expect(not after.log.hurt_emergency_decisions(), "a message of the 911 call was still not allowed")
        emergency = [record for record in after.log.decisions() if record["emergency"] is not None]
        if emergency:
            self.screen.ladder(after.log.decisions(call_id=emergency[0]["sip"]["call_id"]))

    def _all_captured(self) -> bool:
        """Tell whether the capture holds every message of the log: the kernel hands frames over in batches."""
        decided = RoundInLog(self.log.update()).decisions()
        own_replies: int = sum(record["decision"]["verdict"] == "reject" for record in decided)
        captured = (FOLDER / "traffic.pcap").read_bytes().count(b"\nCall-ID: ")
        return captured >= len(decided) + own_replies

    def _lint(self, policy: Path, output: str, *options: str) -> tuple[int, dict[str, Any]]:
        """Run lint as a person would, keep its JSON, and return its exit code and the JSON."""
        command = [*sosgate("lint"), str(policy), "--format", "json", *options]
        done = subprocess.run(  # noqa: S603 (our own command, no shell)
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LINT_WITHIN_S, check=False
        )
        (FOLDER / output).write_bytes(done.stdout)
        if done.returncode not in (0, 1):
            raise MachineError("lint", str(policy), done.stderr.decode(errors="replace").strip())
        result: dict[str, Any] = json.loads(done.stdout)
        return done.returncode, result

    def _expect(self, held: bool, otherwise: str) -> None:
        if not held:
            self.failures.append(otherwise)


def _answered(count: CallCount) -> str:
    return f"{count.succeeded} of {count.placed} answered"
