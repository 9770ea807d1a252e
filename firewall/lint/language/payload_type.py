"""The automaton of ``sdp.media.format`` for RTP: a static payload type is read by Wireshark's name for it."""

from firewall.lint.language.automaton import Automaton, State, classes_of, holds_of
from firewall.net.datagram import Datagram
from firewall.ruleset.facts import Facts
from firewall.ruleset.fields import FIELDS
from firewall.sip.message import parse_message

_MOST_DIGITS = 3
_TYPES = range(128)


def _names() -> tuple[bytes, ...]:
    """Return the name of each payload type as the field itself reads it."""
    lines = (b"v=0", b"m=audio 9 RTP/AVP " + b" ".join(str(number).encode() for number in _TYPES))
    body = b"".join(line + b"\r\n" for line in lines)
    head = b"INFO sip:a@b SIP/2.0\r\nContent-Type: application/sdp\r\n\r\n"
    facts = Facts(Datagram("192.0.2.1", 1, "192.0.2.2", 2, head + body), parse_message(head + body))
    return tuple(str(value).encode() for value in FIELDS["sdp.media.format"].read(facts))


_NAMES = _names()


class PayloadNamed:
    """Reads a word: a number from 0 to 127 (up to three digits) as its name, anything else as it stands."""

    def __init__(self, inner: Automaton) -> None:
        self._inner = inner
        self._is_accepted = tuple(holds_of(inner, name) for name in _NAMES)
        numbers: dict[tuple[int, int], int] = {}
        digits = classes_of(b"0123456789")
        self.classes = bytes(
            numbers.setdefault((inner.classes[byte], digits[byte]), len(numbers)) for byte in range(256)
        )
        self.start: State = ("", inner.start)

    def step(self, state: State, byte: int) -> State:
        """The state is the digits so far (None where the word is no payload type), and the inner state of the word."""
        if not isinstance(state, tuple):
            return state
        digits, inner = state
        is_number = digits is not None and 0x30 <= byte <= 0x39 and len(digits) < _MOST_DIGITS
        inner = self._inner.step(inner, byte)
        return (digits + chr(byte) if is_number else None), inner

    def accepts(self, state: State) -> bool:
        """Tell whether a value may end here."""
        if not isinstance(state, tuple):
            return False
        digits, inner = state
        if digits and int(digits) in _TYPES:
            return self._is_accepted[int(digits)]
        return self._inner.accepts(inner)
