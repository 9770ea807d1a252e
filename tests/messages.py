"""SIP messages for tests, as bytes: a caller 192.0.2.10 in zone carrier, a PSAP 198.51.100.10 in zone psap."""

CARRIER = ("192.0.2.10", 5060)
PSAP = ("198.51.100.10", 5060)

SDP = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
    "m=audio 49170 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
)


def request(
    method: str = "INVITE",
    uri: str = "sip:911@198.51.100.10",
    *,
    call_id: str = "call-1@192.0.2.10",
    to: str | None = None,
    from_uri: str = "sip:6175550123@192.0.2.10",
    from_tag: str | None = "caller",
    to_tag: str | None = None,
    cseq: int = 1,
    branch: str | None = None,
    via_host: str = "192.0.2.10:5060",
    via_params: str = ";rport",
    headers: tuple[str, ...] = (),
    body: str = "",
) -> bytes:
    """Return a request; ``headers`` are added lines, ``branch`` defaults to one of its own for each transaction."""
    branch = branch or f"z9hG4bK-{call_id}-{method}-{cseq}".replace("ACK", "INVITE" if to_tag is None else "ACK")
    target = to or (f"<{uri}>" if not uri.startswith("<") else uri)
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP {via_host};branch={branch}{via_params}",
        f"From: <{from_uri}>" + (f";tag={from_tag}" if from_tag else ""),
        f"To: {target}" + (f";tag={to_tag}" if to_tag else ""),
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
        "Max-Forwards: 70",
        *headers,
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def response(to: bytes, status: int = 200, *, to_tag: str | None = "psap", phrase: str = "OK") -> bytes:
    """Return the response to a request: its Via, From, To (with ``to_tag``), Call-ID and CSeq."""
    kept = []
    for line in to.decode().split("\r\n"):
        name = line.partition(":")[0].lower()
        if name in ("via", "from", "call-id", "cseq"):
            kept.append(line)
        elif name == "to":
            kept.append(line if to_tag is None or ";tag=" in line else f"{line};tag={to_tag}")
    return ("\r\n".join([f"SIP/2.0 {status} {phrase}", *kept, "Content-Length: 0"]) + "\r\n\r\n").encode()
