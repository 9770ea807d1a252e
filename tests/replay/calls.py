"""Whole calls as packets: what the captures of these tests are made of."""

from pathlib import Path

from firewall.cli.policy_file import read_policy
from firewall.ruleset.policy import Policy
from tests.net.packets import CALLER, PSAP, SECOND_NS, START_NS, ipv4, udp

Timed = tuple[int, bytes]

SOS = "urn:service:sos"
ORDINARY = "sip:+15555550100@psap.example"
CALLER_MEDIA, PSAP_MEDIA = 40000, 50000

RULES_CALLS = """
  - name: calls
    when: zone.src == "carrier" and sip.Method in {"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS"}
    action: allow
  - name: from-psaps
    when: zone.src == "psap"
    action: allow
"""
RULES_BLOCKING = """
  - name: no-anonymous
    when: sip.from.user == "anonymous"
    action: drop
"""


def policy_text(rules: str, *, guard: str = "enforce", name: str = "county") -> str:
    return f"""\
policy: {name}
zones:
  carrier: {{networks: [{CALLER}/32, "2001:db8:1::/64"]}}
  psap: {{networks: [{PSAP}/32, "2001:db8:2::/64"]}}
emergency: {{from: [carrier], to: [psap], guard: {guard}}}
rules:{rules}default: drop
"""


def write_policy(folder: Path, rules: str, *, guard: str = "enforce", name: str = "county") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(policy_text(rules, guard=guard, name=name))
    return path


def make_policy(folder: Path, rules: str, *, guard: str = "enforce", name: str = "county") -> Policy:
    return read_policy(str(write_policy(folder, rules, guard=guard, name=name)))


def sdp(address: str, port: int) -> bytes:
    return (
        f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    ).encode()


def message(
    start_line: str,
    cseq: str,
    *,
    call_id: str,
    user: str = "anonymous",
    target: str = SOS,
    to_tag: str | None = None,
    body: bytes = b"",
) -> bytes:
    lines = [
        start_line,
        f"Via: SIP/2.0/UDP {CALLER}:5060;branch=z9hG4bK-{call_id}-{cseq.replace(' ', '')}",
        f"From: <sip:{user}@carrier.example>;tag=a",
        f"To: <{target}>" + (f";tag={to_tag}" if to_tag else ""),
        f"Call-ID: {call_id}",
        f"CSeq: {cseq}",
        "Max-Forwards: 70",
        *(["Content-Type: application/sdp"] if body else []),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def invite(call_id: str = "c1", *, target: str = SOS, user: str = "anonymous") -> bytes:
    body = sdp(CALLER, CALLER_MEDIA)
    return message(f"INVITE {target} SIP/2.0", "1 INVITE", call_id=call_id, user=user, target=target, body=body)


def forth(payload: bytes, port: int = 5060) -> bytes:
    return ipv4(udp(payload, port, port), CALLER, PSAP)


def back(payload: bytes, port: int = 5060) -> bytes:
    return ipv4(udp(payload, port, port), PSAP, CALLER)


def rtp(sequence: int, *, ssrc: int = 7, payload_type: int = 0) -> bytes:
    head = bytes([0x80, payload_type]) + (sequence % 65536).to_bytes(2, "big")
    return head + bytes(4) + ssrc.to_bytes(4, "big") + bytes(160)


def call(
    call_id: str = "c1",
    *,
    target: str = SOS,
    user: str = "anonymous",
    begins_s: float = 0,
    media_packets: int = 4,
) -> list[Timed]:
    """INVITE, 180, 200, ACK, some RTP in both directions, BYE, 200: six SIP messages as IP packets with their times."""
    common = {"call_id": call_id, "user": user, "target": target}
    answer = sdp(PSAP, PSAP_MEDIA)
    script = [
        (0.0, forth(invite(call_id, target=target, user=user))),
        (0.1, back(message("SIP/2.0 180 Ringing", "1 INVITE", to_tag="b", **common))),
        (1.0, back(message("SIP/2.0 200 OK", "1 INVITE", to_tag="b", body=answer, **common))),
        (1.1, forth(message("ACK sip:psap@198.51.100.2 SIP/2.0", "1 ACK", to_tag="b", **common))),
    ]
    for sequence in range(media_packets):
        out = ipv4(udp(rtp(sequence), CALLER_MEDIA, PSAP_MEDIA), CALLER, PSAP)
        home = ipv4(udp(rtp(sequence), PSAP_MEDIA, CALLER_MEDIA), PSAP, CALLER)
        script += [(1.2 + sequence * 0.02, out), (1.21 + sequence * 0.02, home)]
    script += [
        (9.0, forth(message("BYE sip:psap@198.51.100.2 SIP/2.0", "2 BYE", to_tag="b", **common))),
        (9.1, back(message("SIP/2.0 200 OK", "2 BYE", to_tag="b", **common))),
    ]
    return [(START_NS + round((begins_s + at_s) * SECOND_NS), packet) for at_s, packet in script]
