"""Whole emergency calls and the traffic they depend on, message by message.

A proof asks about each message by itself, as its dialog stands. So there is no flow whose messages others have in the
same states: a refresh (RFC 4028), or the release of a phone that rang when another one answered.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from firewall.lint import bodies
from firewall.lint.endpoint import Pair, Side
from firewall.lint.form import SOS, Form, FormFlow, Headers
from firewall.lint.script import Dialog, Request, Role, Script, Step, other
from firewall.ruleset.policy import Flow as PolicyFlow

CALLBACK_PAUSE_MS = 10 * 60 * 1000
"""How long after the call the PSAP calls back; within the 30 minutes in which the firewall knows whom it calls."""

_CALLBACK: Role = "callback"
_MARKED: Headers = (("Priority", "psap-callback"),)
_RELIABLE: Headers = (("Require", "100rel"), ("RSeq", "1"))

Writer = Callable[[Script, Form], None]
Course = Callable[[Script, Request, Role], None]
"""What becomes of a call that this INVITE begins; all its messages have this role."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One kind of traffic. ``form_flow`` is the kind of form it begins with, None when that is no emergency itself.

    ``in_surge``: the calls of a disaster are like it. Most of them are over before anything is changed.
    """

    name: str
    policy_flow: PolicyFlow
    form_flow: FormFlow | None
    write: Writer
    in_surge: bool = True

    def steps(self, pair: Pair, form: Form, key: str) -> tuple[Step, ...]:
        """Return its messages between two ends."""
        script = Script(pair, key)
        self.write(script, form)
        return tuple(script.steps)


def selected(wanted: tuple[PolicyFlow, ...]) -> tuple[Flow, ...]:
    """Return the flows that a policy's ``emergency.flows`` asks for. Media is not signalling: it has none here."""
    return tuple(flow for flow in FLOWS if flow.policy_flow in wanted)


def _short(script: Script, invite: Request, role: Role) -> None:
    """The shortest call: it rings, is answered, and who called hangs up."""
    script.answer(invite, 100, role)
    script.answer(invite, 180, role)
    script.wait(2000)
    _answered(script, invite, role)
    script.wait(3000)
    _exchange(script, invite.dialog, invite.sender, "BYE", role)


def _answered_after_early_media(script: Script, invite: Request, role: Role) -> None:
    """The beginning of a call through IMS: reliable progress, then UPDATE and INFO from both sides while it rings."""
    answerer = other(invite.sender)
    script.answer(invite, 100, role)
    script.answer(invite, 183, role, headers=_RELIABLE, body=bodies.audio(script.media_ip(answerer)))
    _acknowledged(script, invite, role)
    for method in ("UPDATE", "INFO"):
        for side in (invite.sender, answerer):
            _exchange(script, invite.dialog, side, method, role, offer=method == "UPDATE")
    script.answer(invite, 180, role)
    script.wait(2000)
    _answered(script, invite, role)
    script.wait(2000)


def _held(script: Script, invite: Request, role: Role) -> None:
    """A call through IMS and an ESRP: early media, hold and resume, digits; the called side hangs up."""
    dialog, caller, called = invite.dialog, invite.sender, other(invite.sender)
    _answered_after_early_media(script, invite, role)
    hold = script.request(dialog, called, "INVITE", role, body=bodies.hold(script.media_ip(called)))
    _answered(script, hold, role)
    _answered(script, _reinvite(script, dialog, called, role), role)
    digits = bodies.Body("application/dtmf-relay", b"Signal=1\r\nDuration=160\r\n")
    _exchange(script, dialog, caller, "INFO", role, body=digits)
    _exchange(script, dialog, caller, "OPTIONS", role)
    _exchange(script, dialog, called, "BYE", role)


def _updated(script: Script, invite: Request, role: Role) -> None:
    """A mobile phone is called: early media; it then changes the session, and hangs up."""
    called = other(invite.sender)
    _answered_after_early_media(script, invite, role)
    _exchange(script, invite.dialog, called, "UPDATE", role)
    _exchange(script, invite.dialog, called, "BYE", role)


def _of_caller(course: Course) -> Writer:
    """Return how an emergency call is written that goes so."""

    def write(script: Script, form: Form) -> None:
        course(script, _invite(script, form), "mid_call")

    return write


def _of_callback(course: Course) -> Writer:
    """Return how a callback is written that goes so."""

    def write(script: Script, form: Form) -> None:  # noqa: ARG001 - every flow is written from a form
        course(script, _callback_invite(script, _MARKED), _CALLBACK)

    return write


def _cancelled(script: Script, invite: Request, role: Role) -> None:
    """Who calls gives up while it rings."""
    script.answer(invite, 100, role)
    script.answer(invite, 180, role)
    script.wait(1000)
    _given_up(script, invite, role)


def _cancelled_early(script: Script, invite: Request, role: Role) -> None:
    """Who calls gives up before anything rings: there is no dialog yet."""
    script.answer(invite, 100, role)
    _given_up(script, invite, role)


def _refused(script: Script, invite: Request, role: Role) -> None:
    """The called side cannot take the call: the other one must hear that, to try the next."""
    script.answer(invite, 100, role)
    _not_taken(script, invite, 503, role, headers=(("Retry-After", "2"),))


def _declined(script: Script, invite: Request, role: Role) -> None:
    """It rings, and the called side does not take the call."""
    script.answer(invite, 180, role)
    _not_taken(script, invite, 486, role)


def _hung_up_early(script: Script, invite: Request, role: Role) -> None:
    """Who calls gives up while it rings by a BYE (RFC 3261 §15): the dialog ends before the INVITE is answered."""
    script.answer(invite, 180, role)
    _exchange(script, invite.dialog, invite.sender, "BYE", role)
    _not_taken(script, invite, 487, role)


def _crossed(script: Script, invite: Request, role: Role) -> None:
    """Both sides write and ask while it rings; it is answered before PRACK comes, and both hang up (RFC 5407 §3)."""
    dialog = invite.dialog
    script.answer(invite, 180, role, headers=_RELIABLE)
    for side in (invite.sender, other(invite.sender)):
        _exchange(script, dialog, side, "OPTIONS", role)
        _exchange(script, dialog, side, "MESSAGE", role, body=bodies.plain_text(script.media_ip(side)))
    script.answer(invite, 200, role, body=bodies.audio(script.media_ip(other(invite.sender))))
    _acknowledged(script, invite, role)
    script.request(dialog, invite.sender, "ACK", role, of=invite)
    script.wait(2000)
    _both_hang_up(script, dialog, invite.sender, role)


def _changed(script: Script, invite: Request, role: Role) -> None:
    """Both sides write (NENA-STA-010.3 §3.1.1.1), ask and change the session; one change is refused, one given up."""
    dialog = invite.dialog
    _answered(script, invite, role)
    for side in (invite.sender, other(invite.sender)):
        for method in ("INFO", "OPTIONS", "UPDATE"):
            _exchange(script, dialog, side, method, role)
        _exchange(script, dialog, side, "MESSAGE", role, body=bodies.plain_text(script.media_ip(side)))
        _answered(script, _reinvite(script, dialog, side, role), role)
        _not_taken(script, _reinvite(script, dialog, side, role), 491, role)
        slow = _reinvite(script, dialog, side, role)
        script.answer(slow, 100, role)
        script.answer(slow, 180, role)
        _given_up(script, slow, role)
    _both_hang_up(script, dialog, other(invite.sender), role)


def _transfer(script: Script, form: Form) -> None:
    """The PSAP transfers the caller to another desk (RFC 3515, NENA-STA-010.3 §4.7)."""
    invite = _invite(script, form)
    dialog = invite.dialog
    script.answer(invite, 180, "mid_call")
    _answered(script, invite)
    refer_to = (("Refer-To", f"<sip:desk2@{script.pair.psap.host}?Replaces={dialog.call_id}>"),)
    _exchange(script, dialog, "psap", "REFER", headers=refer_to, status=202)
    progress = bodies.Body("message/sipfrag", b"SIP/2.0 200 OK\r\n")
    notify_headers = (("Event", "refer"), ("Subscription-State", "terminated;reason=noresource"))
    _exchange(script, dialog, "caller", "NOTIFY", headers=notify_headers, body=progress)
    _exchange(script, dialog, "psap", "BYE")


def _location(script: Script, form: Form) -> None:
    """The PSAP subscribes to the caller's position during the call (RFC 3856, RFC 6446)."""
    _located(script, _invite(script, form))


def _named_location(script: Script, form: Form) -> None:
    """It subscribes to what the call names as its place (RFC 6442): only so does the firewall know what that is for."""
    place = ("Geolocation", f"<sip:position-7@{script.pair.caller.host}>")
    _located(script, _invite(script, replace(form, headers=(*form.headers, place))))


def _located(script: Script, invite: Request) -> None:
    script.answer(invite, 180, "mid_call")
    _answered(script, invite)
    presence = script.dialog("psap", "sip:position-7@{host}", "<sip:position-7@{host}>", from_=_desk(script))
    events = (("Event", "presence"), ("Expires", "60"))
    subscribe = script.request(presence, "psap", "SUBSCRIBE", "mid_call", begins=True, headers=events)
    script.answer(subscribe, 200, "mid_call", headers=(("Expires", "60"),))
    state = (("Event", "presence"), ("Subscription-State", "active;expires=60"))
    body = bodies.Body("application/pidf+xml", bodies.position())
    _exchange(script, presence, "caller", "NOTIFY", headers=state, body=body)


def _unmarked_callback(script: Script, form: Form) -> None:
    """A call, and ten minutes later the PSAP calls its caller back without saying so."""
    _short(script, _invite(script, form), "mid_call")
    script.wait(CALLBACK_PAUSE_MS)
    _short(script, _callback_invite(script, ()), _CALLBACK)


def _text(script: Script, form: Form) -> None:
    """A page-mode message (RFC 3428) or a data-only call (RFC 8876)."""
    body = form.body(script.media_ip("caller")) if form.body else None
    dialog = script.dialog("caller", form.request_uri, form.to, form.style)
    message = script.request(dialog, "caller", "MESSAGE", "text", begins=True, headers=form.headers, body=body)
    script.answer(message, 200, "text")


def _text_answered(script: Script, form: Form) -> None:
    """The PSAP writes back: to who wrote, outside a dialog (RFC 3428 §4)."""
    _text(script, form)
    script.wait(CALLBACK_PAUSE_MS)
    uri = "sip:+16175550142@{host}"
    dialog = script.dialog("psap", uri, f"<{uri}>", from_=_desk(script))
    body = bodies.plain_text(script.media_ip("psap"))
    reply = script.request(dialog, "psap", "MESSAGE", _CALLBACK, begins=True, body=body)
    script.answer(reply, 200, _CALLBACK)


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
        from_ = f"<sip:{script.pair.ends(side)[0].host}>"
        for _ in range(3):
            dialog = script.dialog(side, "sip:{host}", trunk, from_=from_)
            options = script.request(dialog, side, "OPTIONS", "keepalive", begins=True)
            script.answer(options, 200, "keepalive", headers=(("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS"),))
            script.wait(30_000)

    return write


FLOWS: tuple[Flow, ...] = (
    Flow("voice call", "voice", "voice", _of_caller(_short)),
    Flow("voice call with early media, UPDATE and hold", "voice", "voice", _of_caller(_held)),
    Flow("call cancelled while ringing", "voice", "voice", _of_caller(_cancelled)),
    Flow("call cancelled before it rings", "voice", "voice", _of_caller(_cancelled_early)),
    Flow("call refused by the PSAP", "voice", "voice", _of_caller(_refused)),
    Flow("call not taken at the PSAP", "voice", "voice", _of_caller(_declined)),
    Flow("call hung up while ringing", "voice", "voice", _of_caller(_hung_up_early), in_surge=False),
    Flow("call whose messages cross", "voice", "voice", _of_caller(_crossed), in_surge=False),
    Flow("call with texts and changes", "voice", "voice", _of_caller(_changed), in_surge=False),
    Flow("real-time text call", "rtt", "rtt", _of_caller(_short)),
    Flow("text message", "text", "text", _text),
    Flow("text message that is answered", "text", "text", _text_answered),
    Flow("callback marked psap-callback", "callback", None, _of_callback(_short)),
    Flow("callback with early media and UPDATE", "callback", None, _of_callback(_updated), in_surge=False),
    Flow("callback cancelled while ringing", "callback", None, _of_callback(_cancelled)),
    Flow("callback cancelled before it rings", "callback", None, _of_callback(_cancelled_early)),
    Flow("callback refused", "callback", None, _of_callback(_refused)),
    Flow("callback not taken", "callback", None, _of_callback(_declined)),
    Flow("callback hung up while ringing", "callback", None, _of_callback(_hung_up_early), in_surge=False),
    Flow("callback whose messages cross", "callback", None, _of_callback(_crossed), in_surge=False),
    Flow("callback with texts and changes", "callback", None, _of_callback(_changed), in_surge=False),
    Flow("callback without a mark", "callback", "voice", _unmarked_callback),
    Flow("keep-alive from the caller's side", "keepalive", None, _keepalive_of("caller")),
    Flow("keep-alive from the PSAP's side", "keepalive", None, _keepalive_of("psap")),
    Flow("call with transfer", "transfer", "voice", _transfer),
    Flow("call with location subscription", "location", "voice", _location),
    Flow("call with subscription to the place it names", "location", "voice", _named_location),
    Flow("emergency registration", "registration", "registration", _registration),
)

VOICE = FLOWS[0]


def ordinary_request(script: Script, sender: Side, method: str, uri: str, form: Form = SOS) -> None:
    """Send one request that is no emergency, as the generators of incidents do."""
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


def _acknowledged(script: Script, invite: Request, role: Role) -> None:
    """The reliable provisional response is (RFC 3262 §4)."""
    rack = (("RAck", f"1 {invite.cseq_number} INVITE"),)
    _exchange(script, invite.dialog, invite.sender, "PRACK", role, headers=rack)


def _not_taken(script: Script, invite: Request, status: int, role: Role, headers: Headers = ()) -> None:
    script.answer(invite, status, role, headers=headers)
    script.request(invite.dialog, invite.sender, "ACK", role, of=invite, uri=invite.uri)


def _reinvite(script: Script, dialog: Dialog, side: Side, role: Role = "mid_call") -> Request:
    return script.request(dialog, side, "INVITE", role, body=bodies.audio(script.media_ip(side)))


def _given_up(script: Script, invite: Request, role: Role) -> None:
    cancel = script.request(invite.dialog, invite.sender, "CANCEL", role, of=invite, uri=invite.uri)
    script.answer(cancel, 200, role)
    _not_taken(script, invite, 487, role)


def _exchange(
    script: Script,
    dialog: Dialog,
    sender: Side,
    method: str,
    role: Role = "mid_call",
    *,
    headers: Headers = (),
    body: bodies.Body | None = None,
    offer: bool = False,
    status: int = 200,
) -> None:
    offered, answered = (bodies.audio(end.ip) if offer else None for end in script.pair.ends(sender))
    request = script.request(dialog, sender, method, role, headers=headers, body=body or offered)
    script.answer(request, status, role, body=answered)


def _both_hang_up(script: Script, dialog: Dialog, first: Side, role: Role) -> None:
    for bye in [script.request(dialog, side, "BYE", role) for side in (first, other(first))]:
        script.answer(bye, 200, role)


def _callback_invite(script: Script, headers: Headers) -> Request:
    # Back to what the call itself named: its From, or where that names nobody, its Contact.
    uri = "sip:+16175550142@{host}"
    dialog = script.dialog("psap", uri, f"<{uri}>", from_=_desk(script))
    body = bodies.audio(script.media_ip("psap"))
    return script.request(dialog, "psap", "INVITE", "callback", begins=True, headers=headers, body=body)


def _desk(script: Script) -> str:
    return f"<sip:desk@{script.pair.psap.host}>"
