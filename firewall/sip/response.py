"""The response a firewall gives to a request it rejects (RFC 3261 §8.2.6, §18.2.2, RFC 3581)."""

import re

from firewall.sip.headers import split_values
from firewall.sip.message import Request
from firewall.sip.via import without_comment

# RFC 3261 §21 and RFC 6665, 4412, 7339: what a policy may answer with; others get the class's own phrase.
REASON_PHRASES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    410: "Gone",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    424: "Bad Location Information",
    429: "Provide Referrer Identity",
    433: "Anonymity Disallowed",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    484: "Address Incomplete",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Server Time-out",
    513: "Message Too Large",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
    608: "Rejected",
}
_RPORT = re.compile(r";\s*rport\s*(?==|;|$)=?", re.IGNORECASE)
_CLASS_PHRASES = {3: "Redirected", 4: "Request Failure", 5: "Server Failure", 6: "Global Failure"}


def build_response(request: Request, status: int, to_tag: str, src_ip: str, src_port: int) -> bytes:
    """Return the response to a request that came from ``src_ip:src_port``.

    Via, From, To, Call-ID and CSeq are the request's; To gets ``to_tag`` when it has none; the topmost Via gets
    ``received`` (and ``rport`` when asked for) so that the caller finds its transaction (RFC 3581 §4).
    """
    phrase = REASON_PHRASES.get(status) or _CLASS_PHRASES[status // 100]
    lines = [f"SIP/2.0 {status} {phrase}"]
    vias = request.header_values("via")
    lines.extend(
        f"Via: {_marked_via(request, via, src_ip, src_port) if index == 0 else via}" for index, via in enumerate(vias)
    )
    to = request.header("to") or ""
    lines.append(f"From: {request.header('from') or ''}")
    lines.append(f"To: {to}" if request.to_tag else f"To: {to};tag={to_tag}")
    lines.append(f"Call-ID: {request.header('call-id') or ''}")
    lines.append(f"CSeq: {request.header('cseq') or ''}")
    lines.append("Content-Length: 0")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def response_target(request: Request, src_ip: str, src_port: int) -> tuple[str, int]:
    """Return where the response goes: the request's source address, at its source port with ``rport`` (RFC 3581 §4)
    and at the port of ``sent-by`` without it (RFC 3261 §18.2.2)."""
    via = request.via
    if via is None or "rport" in via.params:
        return src_ip, src_port
    return src_ip, via.port or 5060


def _marked_via(request: Request, via: str, src_ip: str, src_port: int) -> str:
    top = request.via
    if top is None:
        return via
    first_hop, *others = split_values(via)
    hop = without_comment(first_hop)
    comment = first_hop[len(hop) :]
    if "rport" in top.params and not top.params["rport"]:
        hop = _RPORT.sub(f";rport={src_port}", hop, count=1)
    if "received" not in top.params and ("rport" in top.params or top.host.strip("[]") != src_ip):
        hop = f"{hop};received={src_ip}"
    return ", ".join((f"{hop}{comment}", *others))
