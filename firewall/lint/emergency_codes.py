"""The codes SOS0xx and SOS1xx: the policy cannot be used, or an emergency call can be hurt."""

from firewall.lint.code import Code

EMERGENCY_CODES: tuple[Code, ...] = (
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
        "A ban shuts out one end of emergency calls",
        "One address of `emergency.from` carries the calls of many people. An ordinary message of one of them "
        "triggers the ban, and then everybody's calls are dropped, emergency calls too: a ban is about the "
        "address, not the message. An address of `emergency.to` that is banned cannot answer any call.",
        'Keep trusted addresses out of the rule: `and not zone.src in {"carrier", "psap"}` (each zone of '
        "`emergency.from` and `to`), or drop without `ban`.",
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
)
