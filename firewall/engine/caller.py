"""Who made an emergency call, by what the network may call back (RFC 7090): a number, a user, or an address."""

from collections.abc import Collection, Iterator
from functools import lru_cache

import msgspec

from firewall.ruleset.emergency import dialled_digits
from firewall.sip.message import Request
from firewall.sip.uri import Uri, parse_uri

MAX_IDENTITIES = 8
"""Of one caller; a request with more of them must not make the engine forget other callers."""

LONGEST_IDENTITY = 256
"""Characters: nobody calls back a longer one, and many callers are remembered."""
_FULL_NUMBER_DIGITS = 7
_NATIONAL_DIGITS = 10
_SIP_PORT = 5060
# RFC 3325 (what the network asserts, what a phone prefers), the draft that came before it and gateways still write, and
# where the phone itself can be reached. From comes before them.
_NAMING_HEADERS = ("p-asserted-identity", "p-preferred-identity", "remote-party-id", "contact")


class Caller(msgspec.Struct, frozen=True, gc=False):
    """The identities of a caller, and the address its call came from."""

    identities: tuple[str, ...]
    ip: str

    def replaces(self, known: "Caller | None", from_tag: str | None, tags: Collection[str]) -> bool:
        """Tell whether this is the caller of a call with these tags: not who forged one with its Call-ID, nor the
        called side in the dialog of a caller without a tag."""
        return known is None or (from_tag in tags and self.ip == known.ip)

    def may_be(self, other: "Caller") -> bool:
        """Tell whether two calls may be of one caller, or come by one B2BUA."""
        return self.ip == other.ip or not set(self.identities).isdisjoint(other.identities)


@lru_cache(maxsize=1)  # the log and the memory of callers ask about the same request, one after the other
def caller_identities(request: Request) -> tuple[str, ...]:
    """Return by what identities a caller can be called back, at most ``MAX_IDENTITIES``."""
    identities: dict[str, None] = {}
    for uri in _naming_uris(request):
        identity = identity_of(parse_uri(uri))
        if identity is not None and len(identity) <= LONGEST_IDENTITY:
            identities[identity] = None
        if len(identities) == MAX_IDENTITIES:
            break
    return tuple(identities)


def _naming_uris(request: Request) -> Iterator[str]:
    yield request.from_.uri
    for name in _NAMING_HEADERS:
        for name_addr in request.name_addrs(name):
            yield name_addr.uri


def identity_of(uri: Uri) -> str | None:
    """A telephone number by its last ten digits (``+1 617 555 0123`` and ``6175550123`` are one); else user@host, or
    host:port of a URI without user."""
    if not uri.user:
        return f"{uri.host}:{uri.port or _SIP_PORT}".lower() if uri.host else None
    if uri.user.lower() == "anonymous":
        return None
    number = dialled_digits(uri.user).removeprefix("+")
    if number.isdigit() and len(number) >= _FULL_NUMBER_DIGITS:
        return number[-_NATIONAL_DIGITS:]
    return f"{uri.user}@{uri.host}".lower()
