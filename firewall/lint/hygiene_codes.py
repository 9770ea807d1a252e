"""The codes SOS2xx: the rules' own hygiene."""

from firewall.lint.code import Code

HYGIENE_CODES: tuple[Code, ...] = (
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
        "It asks for a thing and its opposite, or for what no message has, as a payload type above 127.",
        "Write `or` where you meant one of several, or a value that there is; else delete the rule.",
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
        "Any address may then be a caller's or a PSAP's: rules about one side are judged as if they met both.",
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
    Code(
        "SOS230",
        "one-address-family",
        "info",
        "All networks of the zones are of one address family",
        "A phone or gateway that has both families may offer the other one for its call or only for its media "
        "(RFC 8421): such a call comes from no zone, such media is refused and nobody is heard. Where nothing speaks "
        "the other family this is how it should be.",
        "Add the zones' networks of the other family; or write an ignore comment that says that nobody uses it.",
        """\
 zones:
-  carrier: {networks: [192.0.2.0/24]}
+  carrier: {networks: [192.0.2.0/24, "2001:db8:1::/64"]}
-  psap: {networks: [198.51.100.0/24]}
+  psap: {networks: [198.51.100.0/24, "2001:db8:2::/64"]}
""",
    ),
    Code(
        "SOS231",
        "media-ports-left-out",
        "info",
        "`media.ports` leaves out ports that endpoints use",
        "Endpoints choose their ports themselves. Who offers or answers with one outside the range is in a call that "
        "connects, and the other side's media does not reach him; in an emergency call only the guard lets it.",
        "Make sure that no phone and no gateway of either side uses the ports that are named, and say so in an ignore "
        "comment; or widen the range, or leave `ports` out.",
        """\
 media:
-  ports: 30000-40000
+  ports: 1024-65535
""",
    ),
    Code(
        "SOS232",
        "no-emergency-numbers",
        "warning",
        "`emergency.numbers` is empty: no call is an emergency by the number that was dialled",
        "What says itself that it is one (`urn:service:sos`, Resource-Priority) still counts. Where callers dial, "
        "`not emergency` and the guard do nothing for their calls, and lint does not ask about them.",
        "Name the numbers; where every call comes with a service URN, say so in an ignore comment.",
        """\
-emergency: {numbers: [], from: [carrier], to: [psap]}
+emergency: {numbers: ["911"], from: [carrier], to: [psap]}
""",
    ),
)
