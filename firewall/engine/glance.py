"""Which datagrams may be of an emergency call, at a glance: whom to decide on first when there are too many.

Decides nothing. It says "no" only where a message by itself says no, too, and costs a tenth of reading one.
"""

import re
from collections.abc import Callable

from firewall.ruleset.policy import EmergencyPolicy
from firewall.ruleset.regex import compile_regex

# One of these is in every mark but a number that was dialled (``ruleset/emergency.py``).
_WORDS = "sos|emergency|esnet[.]|nena|psap-callback|alerting-protocol"
# Where a number may be dialled: in the first line, and in To and Route, which may be folded.
_TARGET = r"(?:\A[\s\x00\xef\xbb\xbf]*|[\r\n](?:to?|route)[ \t]*:)[^\n]*(?:\n[ \t][^\n]*)*"
_SEPARATORS = r"[-.()\s]*"  # among them the line end of a folded header


def glance(definition: EmergencyPolicy) -> Callable[[bytes], bool]:
    """Compile a look at bytes: could they be of a message that names an emergency as this policy says?"""
    numbers = {"911", *definition.numbers, *definition.test_numbers}
    dialled = "|".join(_SEPARATORS.join(map(re.escape, number)) for number in sorted(numbers))
    search = compile_regex(f"{_WORDS}|{_TARGET}(?:%|{dialled})").search
    return lambda payload: search(payload) is not None
