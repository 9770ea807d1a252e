"""Whole emergency calls and the traffic they depend on, message by message."""

from collections.abc import Callable
from dataclasses import dataclass

from firewall.lint import bodies
from firewall.lint.endpoint import Pair
from firewall.lint.form import SOS, Form, FormFlow, Headers
from firewall.lint.script import Dialog, Request, Role, Script, Side, Step, other
from firewall.ruleset.policy import Flow as PolicyFlow

REFRESH_PAUSE_MS = 15 * 60 * 1000
"""Half of the session interval that is recommended (RFC 4028 §4.2, §7.2)."""
CALLBACK_PAUSE_MS = 10 * 60 * 1000
"""How long after the call the PSAP calls back; within the 30 minutes in which the firewall knows whom it calls."""

_CALLBACK: Role = "callback"
_MARKED: Headers = (("Priority", "psap-callback"),)

Writer = Callable[[Script, Form], None]


@dataclass(frozen=True, slots=True)
class Flow:
    """One kind of traffic. ``form_flow`` is the kind of form it begins with, None when that is no emergency itself.

    ``in_surge``: the calls of a disaster are like it. Most of them are over before anything is refreshed.
    """

    name: str
    policy_flow: PolicyFlow
    form_flow: FormFlow | None
    write: Writer
    in_surge: bool = True

    def steps(self, pair: Pair, form: Form, key: str, start_ms: int = 0) -> tuple[Step, ...]:
        """Return its messages between two ends."""
        script = Script(pair, key, start_ms)
        self.write(script, form)
        return tuple(script.steps)


def selected(wanted: tuple[PolicyFlow, ...]) -> tuple[Flow, ...]:
    """Return the flows that a policy's ``emergency.flows`` asks for. Media is not signalling: it has none here."""
    return tuple(flow for flow in FLOWS if flow.policy_flow in wanted)


def _voice(script: Script, form: Form) -> None:
    """The shortest call: it rings, is answered, and the caller hangs up."""
    invite = _invite(script, form)
    script.answer(invite, 100, "mid_call")
    script.answer(invite, 180, "mid_call")
    script.wait(2000)
    _answered(script, invite)
    script.wait(3000)
    bye = script.request(invite.dialog, "caller", "BYE", "mid_call")
    script.answer(bye, 200, "mid_call")


def _voice_with_early_media(script: Script, form: Form) -> None:
    """A call through IMS and an ESRP: reliable progress, UPDATE, hold and resume, INFO; the PSAP hangs up."""
    invite = _invite(script, form)
    dialog = invite.dialog
    script.answer(invite, 100, "mid_call")
    reliable = (("Require", "100rel"), ("RSeq", "1"))
    script.answer(invite, 183, "mid_call", headers=reliable, body=bodies.audio(script.media_ip("psap")))
    _exchange(script, dialog, "caller", "PRACK", headers=(("RAck", f"1 {invite.cseq_number} INVITE"),))
    _exchange(script, dialog, "caller", "UPDATE", offer=True)
    script.answer(invite, 180, "mid_call")
    script.wait(2000)
    _answered(script, invite)
    script.wait(2000)
    hold = script.request(dialog, "psap", "INVITE", "mid_call", body=bodies.hold(script.media_ip("psap")))
    _answered(script, hold)
    resume = script.request(dialog, "psap", "INVITE", "mid_call", body=bodies.audio(script.media_ip("psap")))
    _answered(script, resume)
    digits = bodies.Body("application/dtmf-relay", b"Signal=1\r\nDuration=160\r\n")
    info = script.request(dialog, "caller", "INFO", "mid_call", body=digits)
    script.answer(info, 200, "mid_call")
    _exchange(script, dialog, "caller", "OPTIONS")
    bye = script.request(dialog, "psap", "BYE", "mid_call")
    script.answer(bye, 200, "mid_call")


def _voice_refreshed(script: Script, form: Form) -> None:
    """A long call: both sides refresh it (RFC 4028 §7.4), the PSAP asks a car for data (RFC 8147 §9) and for life."""
    invite = _invite(script, form)
    dialog = invite.dialog
    script.answer(invite, 180, "mid_call")
    _answered(script, invite)
    script.wait(REFRESH_PAUSE_MS)
    refresh = script.request(dialog, "caller", "INVITE", "mid_call", body=bodies.audio(script.media_ip("caller")))
    _answered(script, refresh)
    _exchange(script, dialog, "caller", "UPDATE")
    for method in ("UPDATE", "INFO", "OPTIONS"):
        _exchange(script, dialog, "psap", method)
    bye = script.request(dialog, "caller", "BYE", "mid_call")
    script.answer(bye, 200, "mid_call")


def _cancelled(script: Script, form: Form) -> None:
    """The caller gives up while it rings."""
    invite = _invite(script, form)
    script.answer(invite, 100, "mid_call")
    script.answer(invite, 180, "mid_call")
    script.wait(1000)
    cancel = script.request(invite.dialog, "caller", "CANCEL", "mid_call", of=invite, uri=invite.uri)
    script.answer(cancel, 200, "mid_call")
    script.answer(invite, 487, "mid_call")
    script.request(invite.dialog, "caller", "ACK", "mid_call", of=invite, uri=invite.uri)


def _refused(script: Script, form: Form) -> None:
    """The PSAP cannot take the call: the caller's side must hear that, to try the next one."""
    invite = _invite(script, form)
    script.answer(invite, 100, "mid_call")
    script.answer(invite, 503, "mid_call", headers=(("Retry-After", "2"),))
    script.request(invite.dialog, "caller", "ACK", "mid_call", of=invite, uri=invite.uri)


def _transfer(script: Script, form: Form) -> None:
    """The PSAP transfers the caller to another desk (RFC 3515, NENA-STA-010.3 §4.7)."""
    invite = _invite(script, form)
    dialog = invite.dialog
    script.answer(invite, 180, "mid_call")
    _answered(script, invite)
    refer_to = (("Refer-To", f"<sip:desk2@{script.pair.psap.host}?Replaces={dialog.call_id}>"),)
    refer = script.request(dialog, "psap", "REFER", "mid_call", headers=refer_to)
    script.answer(refer, 202, "mid_call")
    progress = bodies.Body("message/sipfrag", b"SIP/2.0 200 OK\r\n")
    notify_headers = (("Event", "refer"), ("Subscription-State", "terminated;reason=noresource"))
    notify = script.request(dialog, "caller", "NOTIFY", "mid_call", headers=notify_headers, body=progress)
    script.answer(notify, 200, "mid_call")
    bye = script.request(dialog, "psap", "BYE", "mid_call")
    script.answer(bye, 200, "mid_call")


def _location(script: Script, form: Form) -> None:
    """The PSAP subscribes to the caller's position during the call (RFC 3856, RFC 6446)."""
    invite = _invite(script, form)
    script.answer(invite, 180, "mid_call")
    _answered(script, invite)
    presence = script.dialog("psap", "sip:position-7@{host}", "<sip:position-7@{host}>", from_=_desk(script))
    events = (("Event", "presence"), ("Expires", "60"))
    subscribe = script.request(presence, "psap", "SUBSCRIBE", "mid_call", begins=True, headers=events)
    script.answer(subscribe, 200, "mid_call", headers=(("Expires", "60"),))
    state = (("Event", "presence"), ("Subscription-State", "active;expires=60"))
    body = bodies.Body("application/pidf+xml", bodies.position())
    notify = script.request(presence, "caller", "NOTIFY", "mid_call", headers=state, body=body)
    script.answer(notify, 200, "mid_call")


def _marked_callback(script: Script, form: Form) -> None:  # noqa: ARG001 - every flow is written from a form
    """The PSAP calls back and says so (RFC 7090)."""
    _callback(script, _MARKED)


def _callback_with_early_media(script: Script, form: Form) -> None:  # noqa: ARG001 - every flow is written from a form
    """The PSAP calls a mobile phone back: reliable progress, and UPDATE from both sides."""
    invite = _callback_invite(script, _MARKED)
    dialog, role = invite.dialog, _CALLBACK
    script.answer(invite, 100, role)
    reliable = (("Require", "100rel"), ("RSeq", "1"))
    script.answer(invite, 183, role, headers=reliable, body=bodies.audio(script.media_ip("caller")))
    _exchange(script, dialog, "psap", "PRACK", role, headers=(("RAck", f"1 {invite.cseq_number} INVITE"),))
    _exchange(script, dialog, "psap", "UPDATE", role, offer=True)
    script.answer(invite, 180, role)
    script.wait(2000)
    _answered(script, invite, role)
    script.wait(2000)
    _exchange(script, dialog, "caller", "UPDATE", role)
    bye = script.request(dialog, "caller", "BYE", role)
    script.answer(bye, 200, role)


def _unmarked_callback(script: Script, form: Form) -> None:
    """A call, and ten minutes later the PSAP calls its caller back without saying so."""
    _voice(script, form)
    script.wait(CALLBACK_PAUSE_MS)
    _callback(script, ())


def _text(script: Script, form: Form) -> None:
    """A page-mode message (RFC 3428) or a data-only call (RFC 8876)."""
    body = form.body(script.media_ip("caller")) if form.body else None
    dialog = script.dialog("caller", form.request_uri, form.to, form.style)
    message = script.request(dialog, "caller", "MESSAGE", "text", begins=True, headers=form.headers, body=body)
    script.answer(message, 200, "text")


def _registration(script: Script, form: Form) -> None:
    """An emergency registration with its challenge (3GPP TS 24.229 §5.1.6)."""
    dialog = script.dialog("caller", form.request_uri, form.to, form.style)
    role: Role = "registration"
    register = script.request(dialog, "caller", "REGISTER", role, begins=True, headers=form.headers)
    challenge = (("WWW-Authenticate", 'Digest realm="caller.example", nonce="7a1b", algorithm=AKAv1-MD5'),)
    script.answer(register, 401, role, headers=challenge)
    reply = 'Digest username="u@caller.example", realm="caller.example", nonce="7a1b", response="00"'
    register = script.request(dialog, "caller", "REGISTER", role, begins=True, headers=(("Authorization", reply),))
    script.answer(register, 200, role)


def _keepalive_of(side: Side) -> Writer:
    def write(script: Script, form: Form) -> None:  # noqa: ARG001 - every flow is written from a form
        trunk = "<sip:{host}>"
        from_ = f"<sip:{script.pair.caller.host if side == 'caller' else script.pair.psap.host}>"
        for _ in range(3):
            dialog = script.dialog(side, "sip:{host}", trunk, from_=from_)
            options = script.request(dialog, side, "OPTIONS", "keepalive", begins=True)
            script.answer(options, 200, "keepalive", headers=(("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS"),))
            script.wait(30_000)

    return write


FLOWS: tuple[Flow, ...] = (
    Flow("voice call", "voice", "voice", _voice),
    Flow("voice call with early media, UPDATE and hold", "voice", "voice", _voice_with_early_media),
    Flow("long call with refreshes", "voice", "voice", _voice_refreshed, in_surge=False),
    Flow("call cancelled while ringing", "voice", "voice", _cancelled),
    Flow("call refused by the PSAP", "voice", "voice", _refused),
    Flow("real-time text call", "rtt", "rtt", _voice),
    Flow("text message", "text", "text", _text),
    Flow("callback marked psap-callback", "callback", None, _marked_callback),
    Flow("callback with early media and UPDATE", "callback", None, _callback_with_early_media, in_surge=False),
    Flow("callback without a mark", "callback", "voice", _unmarked_callback),
    Flow("keep-alive from the caller's side", "keepalive", None, _keepalive_of("caller")),
    Flow("keep-alive from the PSAP's side", "keepalive", None, _keepalive_of("psap")),
    Flow("call with transfer", "transfer", "voice", _transfer),
    Flow("call with location subscription", "location", "voice", _location),
    Flow("emergency registration", "registration", "registration", _registration),
)

VOICE = FLOWS[0]


def ordinary_request(script: Script, sender: Side, method: str, uri: str, form: Form = SOS) -> None:
    """One request that is no emergency: what triggers a ban."""
    dialog = script.dialog(sender, uri, f"<{uri}>", form.style)
    body = bodies.audio(script.media_ip(sender)) if method == "INVITE" else None
    script.request(dialog, sender, method, "initial", begins=True, body=body)


def _invite(script: Script, form: Form) -> Request:
    body = form.body(script.media_ip("caller")) if form.body else None
    dialog = script.dialog("caller", form.request_uri, form.to, form.style)
    supported = (("Supported", "100rel, replaces"),)
    return script.request(
        dialog, "caller", "INVITE", "initial", begins=True, headers=(*supported, *form.headers), body=body
    )


def _answered(script: Script, invite: Request, role: Role = "mid_call") -> None:
    answerer = other(invite.sender)
    script.answer(invite, 200, role, body=bodies.audio(script.media_ip(answerer)))
    script.request(invite.dialog, invite.sender, "ACK", role, of=invite)


def _exchange(
    script: Script,
    dialog: Dialog,
    sender: Side,
    method: str,
    role: Role = "mid_call",
    *,
    headers: Headers = (),
    offer: bool = False,
) -> None:
    body = bodies.audio(script.media_ip(sender)) if offer else None
    request = script.request(dialog, sender, method, role, headers=headers, body=body)
    answer = bodies.audio(script.media_ip(other(sender))) if offer else None
    script.answer(request, 200, role, body=answer)


def _callback_invite(script: Script, headers: Headers) -> Request:
    # Back to what the call itself named: its From, or where that names nobody, its Contact.
    uri = "sip:+16175550142@{host}"
    dialog = script.dialog("psap", uri, f"<{uri}>", from_=_desk(script))
    body = bodies.audio(script.media_ip("psap"))
    return script.request(dialog, "psap", "INVITE", "callback", begins=True, headers=headers, body=body)


def _callback(script: Script, headers: Headers) -> None:
    invite = _callback_invite(script, headers)
    script.answer(invite, 100, "callback")
    script.answer(invite, 180, "callback")
    script.wait(2000)
    _answered(script, invite, "callback")
    script.wait(2000)
    bye = script.request(invite.dialog, "psap", "BYE", "callback")
    script.answer(bye, 200, "callback")


def _desk(script: Script) -> str:
    return f"<sip:desk@{script.pair.psap.host}>"
