"""The Via header: which way the response goes (RFC 3261 §18.2.2 and §20.42, RFC 3581)."""

import re

import msgspec

from firewall.net.remembered import remembered
from firewall.sip.headers import parse_params, split_values
from firewall.sip.uri import split_host_port

MAGIC_COOKIE = "z9hG4bK"
"""So begins a branch that names a transaction (RFC 3261 §8.1.1.7)."""
_SENT_PROTOCOL = re.compile(r"\s*([^/\s]+)\s*/\s*([^/\s]+)\s*/\s*(\S+)\s*(.*)", re.DOTALL)
# RFC 2543 §6.40 let a comment end a hop. It is cut short where a comma in it was taken for the next hop's. What a quote
# ends is a parameter's.
_COMMENT = re.compile(r'[ \t]\([^()"]*\)?\Z')
# As nearly every Via begins: the branch is the first parameter, or follows "rport" (RFC 3581 §3).
_USUAL = re.compile(r"SIP/2\.0/[A-Z]+ [A-Za-z0-9.:\[\]-]+(?:;rport)?;branch=([!#-+\--:=-~]*)(?=[;,]|\Z)")


class Via(msgspec.Struct, frozen=True, gc=False):
    """One hop: transport (as written), ``sent_by`` host and port, and the parameters (names lower case)."""

    transport: str
    host: str
    port: int | None
    params: dict[str, str | None]


@remembered(1024)
def parse_via(text: str) -> Via | None:
    """Read the first hop of a Via value; None where the text has no ``protocol/version/transport sent-by``."""
    first_hop = split_values(text)[0]
    match = _SENT_PROTOCOL.match(without_comment(first_hop))
    if match is None:
        return None
    sent_by, _, params = match[4].partition(";")
    host, port = split_host_port(sent_by)
    return Via(match[3], host, port, parse_params(params) if params else {})


def without_comment(hop: str) -> str:
    """Return a hop up to the comment that ends it, if there is one."""
    return _COMMENT.sub("", hop).rstrip() if "(" in hop else hop


def branch_of(text: str) -> str | None:
    """Return the branch of a Via value's first hop, the transaction's name (RFC 3261 §17.1.3).

    It is absent in RFC 2543 messages and in many real ones.
    """
    usual = _USUAL.match(text)
    if usual is not None:
        return usual[1]
    via = parse_via(text)
    return via.params.get("branch") if via is not None else None
