"""What each alarm says happened: the only list. ``sosgate explain CODE`` and docs/reasons.md read it."""

from firewall.engine.record import AlarmCode

ALARMS: dict[AlarmCode, str] = {
    "emergency_blocked": (
        "A message of an emergency call was blocked: by which rule, file and line, and whether the call (or test "
        "call, callback, registration) is lost with it or impaired."
    ),
    "emergency_guarded": "A rule would have blocked a message of an emergency call; the guard let it pass.",
    "emergency_failed_downstream": (
        "An emergency call that sosgate let pass was not answered within 32 s of its first INVITE (200 s when "
        "somebody rings or said 100), or was refused, or challenged, redirected or sent back (401, 407, 422, 494) "
        "and not tried again, or its answer was never acknowledged; it stays known, and a late answer changes its "
        "outcome."
    ),
    "emergency_media_blocked": (
        "Media of an emergency call was negotiated and is not let through: rule or setting, file and line."
    ),
    "emergency_media_guarded": "Media of an emergency call would not have been let through, but for the guard.",
    "emergency_media_lost": (
        "Four seconds after the answer of an emergency call one side, or both, are not heard: which, and why."
    ),
    "keep_alive_blocked": (
        "An OPTIONS or its answer was blocked between addresses that calls went between: the peer will take the "
        "trunk out of service, and then every call fails."
    ),
    "forward_failed": (
        "An allowed message could not be sent on: the machine would not, or the other side of its TCP connection "
        "refused, reset or did not answer it (a call that begins so has failed downstream)."
    ),
    "connection_refused": (
        "A limit of TCP connections reset a new one: of which source, which limit, and what it had sent by then."
    ),
    "connections_closed": (
        "All TCP connections were in use, and some were closed to make room for others: how many, and who has most."
    ),
    "datagrams_lost": (
        "UDP messages were dropped undecided, because they came faster than sosgate decides on them: how many, and "
        "who sends most; again at each tenfold."
    ),
    "interception_lost": (
        "Another program removed the nftables table, the policy rule or the route that hand messages to sosgate: "
        "what became of messages meanwhile, and whether it is put back; or other programs' rules drop messages on "
        "their way to sosgate: how many, and again at each tenfold."
    ),
    "log_unwritable": "Records are being lost.",
    "log_recovered": "Records are written again: how many were lost.",
    "pinholes": (
        "The kernel refuses a change of the sets of media: until it takes one again, nothing is dropped for want of "
        "a pinhole."
    ),
    "table_full": (
        "Calls pass that cannot be followed, because the table of calls is full; or ordinary calls have no media, "
        "because that of pinholes is; or emergency callers are forgotten before they may be called back for 30 "
        "minutes; or session descriptions are forgotten, as those of all calls take more than 1 GB."
    ),
    "internal_error": "A defect of sosgate; where a message met it, `exceptions.internal_error` decided.",
}
