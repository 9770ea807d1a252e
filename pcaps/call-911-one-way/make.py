"""Makes capture.pcap: a 911 call whose answer names one address and whose audio comes from another, and a stranger."""

from pathlib import Path
from struct import pack

from firewall.lint.bodies import CRLF, Body
from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.finding import Sent
from firewall.lint.form import SOS
from firewall.lint.instant import BASE_NS, SECOND_NS
from firewall.lint.script import Script
from firewall.lint.witness_capture import capture_bytes
from firewall.net.datagram import Datagram

CALLER, PSAP, GATEWAY, STRANGER = "192.0.2.10", "198.51.100.10", "198.51.100.77", "203.0.113.66"
CALLER_PORT, PSAP_PORT = 49170, 40000


def description(ip: str, port: int) -> Body:
    lines = ("v=0", f"o=- 1 1 IN IP4 {ip}", "s=-", f"c=IN IP4 {ip}", "t=0 0", f"m=audio {port} RTP/AVP 0", "a=ptime:20")
    return Body("application/sdp", (CRLF.join(lines) + CRLF).encode())


def signalling() -> list[Sent]:
    pair = Pair(Endpoint(CALLER), Endpoint(PSAP))
    script = Script(pair, "one-way")
    dialog = script.dialog("caller", SOS.request_uri, SOS.to, SOS.style)
    offer, answer = description(CALLER, CALLER_PORT), description(PSAP, PSAP_PORT)
    invite = script.request(dialog, "caller", "INVITE", "initial", begins=True, headers=SOS.headers, body=offer)
    script.answer(invite, 180, "mid_call")
    script.wait(2_000)
    script.answer(invite, 200, "mid_call", body=answer)
    script.request(dialog, "caller", "ACK", "mid_call", of=invite)
    script.wait(8_000)
    bye = script.request(dialog, "caller", "BYE", "mid_call")
    script.answer(bye, 200, "mid_call")
    ends = {"caller": (CALLER, 5060, PSAP, 5060), "psap": (PSAP, 5060, CALLER, 5060)}
    return [
        Sent(BASE_NS + step.at_ms * 1_000_000, Datagram(*ends[step.sender], step.payload), step.label)
        for step in script.steps
    ]


def audio(src: str, src_port: int, dst: str, dst_port: int, ssrc: int, begin_s: float, end_s: float) -> list[Sent]:
    return [
        Sent(
            BASE_NS + round(begin_s * SECOND_NS) + number * 20_000_000,
            Datagram(src, src_port, dst, dst_port, pack(">BBHII", 0x80, 0, number, number * 160, ssrc) + bytes(160)),
            "RTP",
        )
        for number in range(round((end_s - begin_s) * 50))
    ]


def sent() -> tuple[Sent, ...]:
    media = audio(CALLER, CALLER_PORT, PSAP, PSAP_PORT, 1, 2.2, 10.0)
    media += audio(GATEWAY, PSAP_PORT, CALLER, CALLER_PORT, 2, 2.2, 10.0)
    media += audio(STRANGER, 7000, PSAP, PSAP_PORT, 3, 4.0, 4.2)
    media += audio(CALLER, CALLER_PORT, PSAP, PSAP_PORT, 1, 11.0, 11.1)
    return tuple(sorted([*signalling(), *media], key=lambda each: each.at_ns))


if __name__ == "__main__":
    Path(__file__).with_name("capture.pcap").write_bytes(capture_bytes(sent()))
