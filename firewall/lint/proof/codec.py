"""Which encodings of a call the rules about media tell from one another: a list of each kind, the shortest first."""

from collections.abc import Sequence
from functools import partial
from itertools import chain, combinations

from firewall.lint.language.predicate import counts
from firewall.lint.proof.kinds import text_with, told_apart
from firewall.net.datagram import Datagram
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.expression import Atom, Field, Matches, base_field
from firewall.ruleset.facts import Facts, MediaFacts

# RFC 3551, RFC 3389, RFC 4733, RFC 4867, RFC 7587, RFC 4103, and 3GPP TS 26.445: what trunks and handsets agree on.
USUAL = (
    *("pcmu", "pcma", "g722", "g723", "g728", "g729", "gsm", "ilbc", "speex", "opus"),
    *("amr", "amr-wb", "evs", "telephone-event", "cn", "t140", "red"),
)
_NAME = Matches(Field("media.codec"), r"^(?-i:[a-z0-9][a-z0-9._-]{0,30})$")
"""An encoding's name as SDP can carry it (RFC 8866 §6.6), in lower case as rules see it."""
_PACKET = Datagram("192.0.2.10", 0, "198.51.100.20", 0, b"")


def lists_told_apart(own: Sequence[Atom]) -> tuple[tuple[str, ...], ...]:
    """Return what a call may agree on for each way in which the conditions on ``media.codec`` can be true together.

    One encoding, two, or the first of the usual ones; that a rule asks for three by name is not tried.

    Raises:
        UntoldError: these are too many, or cannot be told.
    """
    asked = [atom for atom in own if base_field(atom.operand).name == "media.codec"]
    tests = [compile_condition(atom) for atom in asked]
    of_one = [atom for atom in asked if not counts(atom)]
    named = told_apart("encodings", of_one, USUAL, lambda name: _agreed((name,)), partial(text_with, [_NAME], []))
    names = tuple(dict.fromkeys((*USUAL, *named)))
    firsts = (USUAL[:length] for length in range(3, len(USUAL) + 1))
    kinds: dict[tuple[bool, ...], tuple[str, ...]] = {}
    for codecs in chain(((name,) for name in names), combinations(names, 2), firsts):
        kinds.setdefault(tuple(test(_agreed(codecs)) for test in tests), codecs)
    return tuple(kinds.values())


def _agreed(codecs: tuple[str, ...]) -> Facts:
    return Facts(_PACKET, media_negotiated=True, media=MediaFacts("audio", "rtp", codecs, "sendrecv"))
