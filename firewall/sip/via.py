"""The Via header: which way the response goes (RFC 3261 §18.2.2 and §20.42, RFC 3581)."""

import re
from dataclasses import dataclass

from firewall.net.remembered import remembered
from firewall.sip.headers import parse_params, split_values
from firewall.sip.uri import split_host_port

_SENT_PROTOCOL = re.compile(r"\s*([^/\s]+)\s*/\s*([^/\s]+)\s*/\s*(\S+)\s*(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Via:
    """One hop: transport (upper case), ``sent_by`` host and port, and the parameters (names lower case)."""

    transport: str
    host: str
    port: int | None
    params: dict[str, str | None]

    @property
    def branch(self) -> str | None:
        """The transaction identifier, absent in RFC 2543 messages and in many real ones."""
        return self.params.get("branch")


@remembered(1024)
def parse_via(text: str) -> Via | None:
    """Read the first hop of a Via value; None where the text has no ``protocol/version/transport sent-by``."""
    first_hop = split_values(text)[0]
    match = _SENT_PROTOCOL.match(first_hop)
    if match is None:
        return None
    sent_by, _, params = match[4].partition(";")
    host, port = split_host_port(sent_by)
    return Via(match[3].upper(), host, port, parse_params(params) if params else {})
