"""IP addresses as integers, so that networks are intervals (RFC 4291, RFC 4632).

Both families share one number line: the IPv4 addresses stand behind the last one of IPv6, so that no network of one
family, ``::/0`` included, holds an address of the other. An IPv4-mapped address (``::ffff:a.b.c.d``, RFC 4291 §2.5.5.2)
is the IPv4 address, as which the wire has it.
"""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from firewall.errors import shown

IPV4_FIRST = 1 << 128
_IPV4_LAST = IPV4_FIRST + 0xFFFF_FFFF
_MAPPED = 0xFFFF
"""The upper 96 bits of an IPv4-mapped address."""


@lru_cache(maxsize=65536)
def address_number(text: str) -> int:
    """Return the place of a textual IPv4 or IPv6 address on the line.

    Raises:
        ValueError: ``text`` is not an address.
    """
    address = ipaddress.ip_address(text)
    return int(address) + IPV4_FIRST if address.version == 4 else _unmapped(int(address))


def _unmapped(number: int) -> int:
    return IPV4_FIRST + (number & 0xFFFF_FFFF) if number >> 32 == _MAPPED else number


def address_text(number: int) -> str:
    """Return the usual text of an address (RFC 5952 for IPv6); the inverse of ``address_number``."""
    if family(number) == 4:
        return str(ipaddress.IPv4Address(number - IPV4_FIRST))
    return str(ipaddress.IPv6Address(number))


def family(number: int) -> Literal[4, 6]:
    """Return 4 or 6: the family of an address number."""
    return 4 if IPV4_FIRST <= number <= _IPV4_LAST else 6


@dataclass(frozen=True, slots=True, order=True)
class Network:
    """A closed interval of addresses, ``first <= address <= last``, both of one family."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> "Network":
        """Read ``192.0.2.0/24``, ``2001:db8::/32`` or a single address.

        Raises:
            ValueError: not a network, or host bits are set (``192.0.2.1/24``), said in words.
        """
        if "%" in text:
            raise ValueError(f'"{shown(text)}" has a zone id, which no packet carries: leave out all from the % on')
        if "/" not in text:  # most lines of a long list
            try:
                number = address_number(text)
            except ValueError:
                raise ValueError(f'"{shown(text)}" is not an IPv4 or IPv6 network') from None
            return cls(number, number)
        try:
            network = ipaddress.ip_network(text)
        except ValueError:
            try:
                widened = ipaddress.ip_network(text, strict=False)
            except ValueError:
                raise ValueError(f'"{shown(text)}" is not an IPv4 or IPv6 network') from None
            raise ValueError(f'"{text}" has host bits set; the network is "{widened}"') from None
        first, last = int(network[0]), int(network[-1])
        if network.version == 4:
            return cls(first + IPV4_FIRST, last + IPV4_FIRST)
        is_mapped = first >> 32 == last >> 32 == _MAPPED
        return cls(_unmapped(first), _unmapped(last)) if is_mapped else cls(first, last)

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last

    def __str__(self) -> str:
        size = self.last - self.first + 1
        prefix_length = (32 if family(self.first) == 4 else 128) - (size.bit_length() - 1)
        if size == 1:
            return address_text(self.first)
        if size & (size - 1) == 0 and self.first % size == 0:
            return f"{address_text(self.first)}/{prefix_length}"
        return f"{address_text(self.first)}..{address_text(self.last)}"
