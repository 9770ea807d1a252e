"""Every code of lint with its words: the only list. docs/lint.md is tested against it.

SOS1xx: an emergency call can be hurt, shown by a call that the engine blocks. SOS2xx: the rules' own hygiene.
SOS0xx: the policy cannot be used at all. A code is never used again for something else.
"""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Code:
    """One code: its name, how bad it is, its title, why it matters, how to mend it, and a policy's lines mended."""

    code: str
    name: str
    severity: Severity
    title: str
    why: str
    mend: str
    example: str = ""
    """Lines of a policy, those to delete begin with ``-``, those to add with ``+``, the others with a blank."""


def _table(*codes: Code) -> dict[str, Code]:
    return {code.code: code for code in codes}


CODES: dict[str, Code] = _table(
    Code(
        "SOS001",
        "unusable-policy",
        "error",
        "The policy cannot be loaded",
        "A policy with a mistake in its structure, a name or an expression is refused by the daemon too: at "
        "start it does not run, at a reload the old policy stays in force.",
        "Mend the place the sentence names; it says what was expected.",
    ),
    Code(
        "SOS101",
        "emergency-call-blocked",
        "error",
        "The first request of an emergency call is blocked",
        "The caller hears nothing, or a refusal. Ordinary calls may go on working, which is how such a "
        "mistake stays unnoticed until someone dies of it.",
        "Add `and not emergency` to the rule that is named, or put a rule `when: emergency`, `action: allow` "
        "before it.",
    ),
    Code(
        "SOS102",
        "emergency-call-cut",
        "error",
        "A later message of an emergency call is blocked",
        "The call is set up and then fails: it does not ring, cannot be answered, ends after 32 seconds, or "
        "cannot be transferred. In the dispatch centre a number appears, but nobody can be heard.",
        "Add `and not emergency` to the rule that is named; rules about PRACK, UPDATE, ACK, BYE, INFO, status "
        "codes or CSeq are the usual ones. An emergency call's later messages carry the mark too.",
    ),
    Code(
        "SOS103",
        "emergency-limit",
        "error",
        "A rate limit cuts into emergency calls",
        "In a disaster everybody calls at once, and often through one trunk address: the limit that holds off "
        "a flood holds off these calls.",
        "Add `and not emergency` to the limit's `when`, so that emergency calls neither meet nor fill it. Or "
        "state the load your network really has in `emergency.surge`.",
    ),
    Code(
        "SOS104",
        "emergency-schedule",
        "error",
        "A rule blocks emergency calls at certain hours",
        "Every test in office hours passes; the call at night does not.",
        "Add `and not emergency` to the rule that is named.",
    ),
    Code(
        "SOS105",
        "emergency-exception",
        "error",
        "An exception policy blocks emergency traffic",
        "When the firewall itself has a problem (a defect, a full table, a full disk), this setting makes it "
        "the caller's problem.",
        "Set the exception that is named to `allow`.",
    ),
    Code(
        "SOS106",
        "callback-blocked",
        "error",
        "A call back from the dispatch centre is blocked",
        "A caller who was cut off, or cannot speak, is called back (RFC 7090). That call goes the other way, "
        "from the PSAP to the carrier, and rules for ordinary incoming calls meet it.",
        'Allow `emergency.class == "callback"`, or everything from the zones in `emergency.to`, before the '
        "rule that is named.",
    ),
    Code(
        "SOS107",
        "keepalive-blocked",
        "error",
        "The trunk's keep-alive OPTIONS are blocked",
        "Both sides test a trunk with OPTIONS. When no answer comes they take the trunk out of service, and "
        "minutes later every call fails, emergency calls among them. An OPTIONS carries no emergency mark.",
        "Allow OPTIONS between the zones of `emergency.from` and `emergency.to`, in both directions; exempt "
        "those zones from limits on it.",
    ),
    Code(
        "SOS108",
        "emergency-text-blocked",
        "error",
        "A text message or data-only call to the emergency service is blocked",
        "People who cannot speak or hear write (MESSAGE urn:service:sos); sensors and cars send alerts (RFC 8876).",
        "Add `and not emergency` to the rule that is named, or allow MESSAGE from the zones of `emergency.from`.",
    ),
    Code(
        "SOS109",
        "ban-reaches-emergency",
        "error",
        "A ban shuts out a source of emergency calls",
        "One address of `emergency.from` carries the calls of many people. An ordinary message of one of them "
        "triggers the ban, and then everybody's calls are dropped, emergency calls too: a ban is about the "
        "address, not the message.",
        'Keep trusted addresses out of the rule: `and not zone.src == "carrier"` (each zone of `emergency.from`), '
        "or drop without `ban`.",
    ),
    Code(
        "SOS110",
        "test-call-blocked",
        "warning",
        "An emergency test call is blocked",
        "Test calls (urn:service:test.sos, RFC 6881 §17, and your test numbers) are how a fault is found "
        "before a caller finds it.",
        "Add `and not emergency` to the rule that is named; test calls carry the mark, class `test`.",
    ),
    Code(
        "SOS111",
        "emergency-registration-blocked",
        "error",
        "An emergency registration is blocked",
        "A phone in a foreign or no network registers with a `sos` Contact before it calls (3GPP TS 24.229 §5.1.6).",
        "Add `and not emergency` to the rule that is named, or allow REGISTER from the zones of `emergency.from`.",
    ),
    Code(
        "SOS112",
        "shadow-rule-would-block",
        "warning",
        "A shadow rule would block an emergency call if it were enforced",
        "A shadow rule is a rule on its way to be enforced. The day its `mode: shadow` line is deleted, calls "
        "are lost.",
        "Add `and not emergency` to it now.",
    ),
    Code(
        "SOS113",
        "nobody-to-call",
        "error",
        "No address of `emergency.from` can call one of `emergency.to`",
        "The networks of the zones have no address family in common, so no emergency call can be meant to pass, and "
        "none could be tried.",
        "Name the networks of both sides in `zones`, and the zones in `emergency.from` and `emergency.to`.",
    ),
    Code(
        "SOS114",
        "must-violated",
        "error",
        "A promise of `must:` does not hold",
        "Someone wrote down what this policy must always do, and it does not: for a message that the promise is about, "
        "another verdict was found.",
        "Change the rule that is named, or put one before it that decides as promised; or narrow the promise.",
        """\
   - name: calls
-    when: zone.src == "carrier"
+    when: zone.src == "carrier" and not sip.Method == "REGISTER"
     action: allow
 must:
   - name: no-registrations-from-the-carrier
     when: zone.src == "carrier" and sip.Method == "REGISTER"
     verdict: drop
""",
    ),
    Code(
        "SOS115",
        "not-decided",
        "error",
        "Lint cannot tell whether a rule blocks an emergency call",
        "The rule's condition is beyond what lint can reason about, in the form that the finding names. That is no "
        "proof, and is never counted as one.",
        "Write the condition in a simpler way, or add `and not emergency` to the rule that is named.",
    ),
    Code(
        "SOS116",
        "emergency-media-blocked",
        "error",
        "The media of an emergency call is not let through",
        "The call connects, the number appears, and nobody is heard: a rule drops what the two sides agreed on, "
        "perhaps only in one direction, or only what is rare: comfort noise, a digit, real-time text.",
        "Add `and not emergency` to the rule that is named. A rule that allows only certain payload types must name "
        "those of every codec in use, of DTMF (RFC 4733), comfort noise (13) and text (RFC 4103).",
        """\
   - name: pcmu-only
-    when: rtp and not rtp.p_type == 0
+    when: rtp and not rtp.p_type == 0 and not emergency
     action: drop
""",
    ),
    Code(
        "SOS117",
        "media-timeout-short",
        "error",
        "Media is shut out after a silence that is usual",
        "A caller on hold, or one who only listens, sends nothing for minutes. After `media.timeout` without a "
        "packet the pinhole is closed, and what is said then is not heard.",
        "Raise `media.timeout`; the default is an hour. A pinhole is closed at the end of its call anyway.",
        """\
 media:
-  timeout: 20s
+  timeout: 30m
""",
    ),
    Code(
        "SOS118",
        "media-port-range-small",
        "error",
        "The port range for media is too small",
        "Who finds no port in `media.ports` gets no media: the first calls work, those of a busy hour connect "
        "and nobody is heard. Endpoints choose their ports themselves, mostly from much wider ranges.",
        "Use the range that both sides' gateways use, with two ports for each call at once, or leave `ports` out.",
        """\
 media:
-  ports: 40000-40039
+  ports: 40000-49999
""",
    ),
    Code(
        "SOS201",
        "unreachable-rule",
        "warning",
        "A rule can never match: earlier ones take all its messages",
        "What its author wanted does not happen.",
        "Move it before the rules that cover it, or delete it.",
        """\
+  - name: registrations-from-the-lab
+    when: sip.Method == "REGISTER" and net.src == 192.0.2.77
+    action: allow
   - name: no-registrations
     when: sip.Method in {"REGISTER", "PUBLISH"} and not emergency
     action: reject
-  - name: registrations-from-the-lab
-    when: sip.Method == "REGISTER" and net.src == 192.0.2.77
-    action: allow
""",
    ),
    Code(
        "SOS202",
        "redundant-rule",
        "info",
        "A rule changes nothing: later ones do the same to all its messages",
        "Every rule is something that has to be understood at night.",
        "Delete it, unless you want its name in the log.",
        """\
-  - name: no-publish
-    when: sip.Method == "PUBLISH" and not emergency
-    action: drop
   - name: no-presence
     when: sip.Method in {"PUBLISH", "SUBSCRIBE"} and not emergency
     action: drop
""",
    ),
    Code(
        "SOS203",
        "never-true",
        "warning",
        "A rule's condition can never be true",
        "It asks for a thing and its opposite.",
        "Write `or` where you meant one of several.",
        """\
   - name: no-presence
-    when: sip.Method == "PUBLISH" and sip.Method == "SUBSCRIBE"
+    when: sip.Method in {"PUBLISH", "SUBSCRIBE"} and not emergency
     action: reject
""",
    ),
    Code(
        "SOS204",
        "default-allow",
        "warning",
        "What no rule matches is allowed",
        "The firewall then stops only what someone thought of.",
        "List what your network needs in `allow` rules and set `default: drop`. Lint shows whether emergency "
        "calls still pass.",
        """\
-default: allow
+  - name: calls
+    when: zone.src == "carrier" and sip.Method in {"INVITE", "MESSAGE", "OPTIONS"}
+    action: allow
+default: drop
""",
    ),
    Code(
        "SOS205",
        "shadow-rule",
        "info",
        "A rule is in shadow mode: it is recorded, not enforced",
        "Shadow rules are forgotten; the protection they stand for does not exist.",
        "When its records in the log are what you want, delete `mode: shadow`; else delete the rule.",
        """\
   - name: no-registrations
     when: sip.Method == "REGISTER" and not emergency
     action: drop
-    mode: shadow
""",
    ),
    Code(
        "SOS206",
        "unused-set",
        "warning",
        "No rule uses a set",
        "A list that someone keeps up to date has no effect: a rule is missing, or was deleted.",
        "Use it in a rule or delete it.",
        """\
 sets:
   scanners: {file: lists/scanner-agents.txt}
-  fraudsters: {networks: [203.0.113.0/24]}
""",
    ),
    Code(
        "SOS207",
        "address-family-gap",
        "warning",
        "A zone has networks of one address family only, other zones have both",
        "When the carrier moves to the other family its calls come from no known zone.",
        "Add the zone's networks of the other family.",
        """\
 zones:
   carrier: {networks: [192.0.2.0/24, "2001:db8:1::/64"]}
-  psap: {networks: [198.51.100.0/24]}
+  psap: {networks: [198.51.100.0/24, "2001:db8:2::/64"]}
""",
    ),
    Code(
        "SOS208",
        "guard-not-enforced",
        "warning",
        "The guard does not let blocked emergency calls pass",
        "With `guard: alert` or `off` a mistake in the rules costs the call; with `enforce` it costs an alarm.",
        "Set `emergency.guard: enforce`, the default.",
        """\
 emergency:
-  guard: alert
+  guard: enforce
""",
    ),
    Code(
        "SOS209",
        "nowhere-to-call",
        "warning",
        "The policy names no zones, so lint cannot tell who calls whom",
        "The probes then run between documentation addresses only, and rules about your real addresses are not tried.",
        "Write `zones` and name them in `emergency.from` and `emergency.to`.",
        """\
+zones:
+  carrier: {networks: [192.0.2.0/24]}
+  psap: {networks: [198.51.100.0/24]}
+emergency: {from: [carrier], to: [psap]}
""",
    ),
    Code(
        "SOS210",
        "ignore-without-reason",
        "warning",
        "An ignore comment gives no reason",
        "The next reader cannot tell whether it still holds. Without a reason it silences nothing.",
        "Write the reason behind the bracket, best with a date.",
        """\
-# sosgate: ignore[SOS205]
+# sosgate: ignore[SOS205] counting what it would drop until the trunk moves in March
   - name: no-registrations
""",
    ),
    Code(
        "SOS211",
        "unused-ignore",
        "info",
        "An ignore comment silences nothing",
        "What it was about is mended, or stands elsewhere now. Left there it would silence the next mistake.",
        "Delete it (`sosgate lint --fix` does).",
        """\
-  # sosgate: ignore[SOS205] counting what it would drop until March
   - name: no-registrations
     when: sip.Method == "REGISTER" and not emergency
     action: drop
""",
    ),
    Code(
        "SOS212",
        "ignore-not-understood",
        "warning",
        "A comment that begins with `sosgate:` is no ignore, or names a code that cannot be ignored",
        "It silences nothing, though someone meant it to.",
        "Write `# sosgate: ignore[CODE] reason`; several codes stand with commas.",
        """\
-default: allow   # sosgate: ignore[SOS240] the lab has no other firewall
+default: allow   # sosgate: ignore[SOS204] the lab has no other firewall
""",
    ),
    Code(
        "SOS220",
        "always-true",
        "warning",
        "A rule's condition is true of every message",
        "It looks as if it chose something, and chooses nothing: everything that comes so far is decided by this rule.",
        "Delete the `when` if that is meant; else write `and` where `or` stands, or what is missing.",
        """\
   - name: from-the-carrier
-    when: net.src != 192.0.2.1 or net.src != 192.0.2.2
+    when: not net.src in {192.0.2.1, 192.0.2.2}
     action: drop
""",
    ),
    Code(
        "SOS221",
        "partly-shadowed-rule",
        "warning",
        "A part of a rule never decides: earlier rules do the opposite with all of it",
        "Whoever reads the rule believes that it does what it says, and for this part it does not.",
        "Move the rule before those that are named, narrow them, or delete the part.",
        """\
   - name: no-presence
-    when: sip.Method in {"PUBLISH", "SUBSCRIBE"}
+    when: sip.Method == "PUBLISH"
     action: drop
   - name: calls
     when: sip.Method in {"INVITE", "ACK", "BYE", "CANCEL", "SUBSCRIBE"}
     action: allow
""",
    ),
    Code(
        "SOS222",
        "zones-overlap",
        "warning",
        "Two zones have addresses and an interface in common",
        "A packet is in the first zone listed that fits, so the order of `zones` decides which rules meet it.",
        "Give each network to one zone, or tell the zones apart by their interfaces.",
        """\
 zones:
-  carrier: {networks: [192.0.2.0/24]}
+  carrier: {networks: [192.0.2.0/25]}
   psap: {networks: [192.0.2.128/25]}
""",
    ),
    Code(
        "SOS223",
        "regex-never-matches",
        "warning",
        "A regex can never match",
        "No text fits it, so the condition is never true: an anchor in the wrong place, or a `$` "
        "that was meant as itself.",
        "Write `^` first and `$` last, and a backslash before a character that is meant as itself.",
        """\
   - name: premium-numbers
-    when: sip.r-uri.user matches "$1900" and not emergency
+    when: sip.r-uri.user matches "^1900" and not emergency
     action: drop
""",
    ),
    Code(
        "SOS224",
        "regex-matches-everything",
        "warning",
        "A regex matches every text, also the empty one",
        "`matches` finds a regex anywhere in the text, so one that may be empty is found in each: the condition "
        "only says that the field is there.",
        "Write `+` where `*` stands, or anchor the regex with `^` and `$`.",
        """\
   - name: scanners
-    when: sip.User-Agent matches "(scanner)*" and not emergency
+    when: sip.User-Agent matches "scanner" and not emergency
     action: drop
""",
    ),
    Code(
        "SOS225",
        "open-to-anyone",
        "warning",
        "A rule lets messages that are no emergency pass from outside every zone",
        "Emergency calls come from the zones you named. What this rule opens beside them, it opens to whoever can "
        "reach the firewall.",
        "Add `zone.src`, or `emergency`, to its `when`.",
        """\
   - name: calls
-    when: sip.Method in {"INVITE", "ACK", "BYE", "CANCEL"}
+    when: zone.src == "carrier" and sip.Method in {"INVITE", "ACK", "BYE", "CANCEL"}
     action: allow
""",
    ),
    Code(
        "SOS226",
        "ban-not-by-source",
        "warning",
        "A ban is triggered by a limit that does not count each source by itself",
        "Whoever sends the message above the limit is banned, though others may have sent all those before it: one "
        "sender's flood shuts out another.",
        "Name `net.src` in the limit's `per`, or drop without `ban`.",
        """\
   - name: registration-flood
     when: sip.Method == "REGISTER" and not zone.src == "carrier" and not emergency
-    limit: {rate: 10/1s, per: sip.from.user, burst: 20}
+    limit: {rate: 10/1s, per: net.src, burst: 20}
     action: drop
     ban: 10m
""",
    ),
    Code(
        "SOS227",
        "set-holds-trusted-addresses",
        "warning",
        "A set that rules block by holds addresses of a zone that emergency calls use",
        "What is blocked there is a trunk or a dispatch centre: `and not emergency` saves its emergency calls, but not "
        "its keep-alive, and not the calls back that carry no mark.",
        "Take the addresses out of the set, or out of the zone.",
        """\
 sets:
-  blocked: {networks: [203.0.113.0/24, 192.0.2.0/25]}
+  blocked: {networks: [203.0.113.0/24]}
""",
    ),
    Code(
        "SOS228",
        "sets-overlap",
        "info",
        "Two sets have addresses in common",
        "Which rule such an address meets depends on the order of the rules, and taking it out of one list does "
        "not take it out of the other.",
        "Keep each address in one set.",
        """\
 sets:
   blocked: {networks: [203.0.113.0/24]}
-  monitored: {networks: [203.0.113.0/25]}
+  monitored: {networks: [198.18.0.0/24]}
""",
    ),
    Code(
        "SOS229",
        "rule-for-one-family",
        "warning",
        "A rule is about one address family of a zone that has both",
        "It takes every address the zone has in one family and none of the other, and no other rule does the same "
        "there. When the carrier moves to the other family, the rule does not move with it.",
        "Write `zone.src`, or `net.src` with the networks of both families.",
        """\
   - name: from-psaps
-    when: ip.src == 198.51.100.0/24
+    when: net.src in {198.51.100.0/24, 2001:db8:2::/64}
     action: allow
""",
    ),
)


def codes_markdown() -> str:
    """Return the list of codes as it stands in docs/lint.md."""
    return "\n".join(_markdown(code) for code in CODES.values())


def _markdown(code: Code) -> str:
    example = f"\n```diff\n{code.example}```\n" if code.example else ""
    return (
        f"### {code.code} {code.name} ({code.severity})\n\n{code.title}. {code.why}\n\n**Mend:** {code.mend}\n{example}"
    )
