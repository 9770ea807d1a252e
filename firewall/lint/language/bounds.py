"""How large the messages of the model are, and how much work a question may be."""

from typing import Final


class UnmodelledError(Exception):
    """Beyond what is decided here: a form that has no model, or a budget that was used up. The message says which."""


MAX_REQUEST_URI_BYTES: Final = 4096
"""Longer ones are cut or refused by most elements; the reader itself takes 8 192 bytes of start line."""

MAX_HEADER_LINE_BYTES: Final = 8192

MAX_VALUES: Final = 70
"""Lines of one header: Max-Forwards begins at 70 (RFC 3261 §8.1.1.6), so that no more than 70 Via can come together."""

MAX_MESSAGE_BYTES: Final = 65_507
"""The largest payload of a UDP datagram over IPv4 (RFC 768: 65 535 - 20 - 8)."""

MAX_BODY_BYTES: Final = MAX_MESSAGE_BYTES - 72
"""No start line and headers with a Content-Length are shorter (RFC 3261 §25.1, compact names)."""

MAX_REGEX_NODES: Final = 4000

MAX_PROGRAM_STEPS: Final = 60_000
"""Steps of one automaton's program, its repetitions written out."""

MAX_STATES: Final = 25_000
"""States one search for a text visits before it says that the question is too hard."""

MAX_WINDOW_BYTES: Final = 24
"""How far from the end a slice may begin."""

MAX_ROUNDS: Final = 64
"""How often a message is mended before the question counts as too hard."""

MAX_PLACEMENTS: Final = 128
"""Ways to place conditions on several headers at once (``sip.tag``, ``sip.display.info``, ``sip.auth.*``)."""
