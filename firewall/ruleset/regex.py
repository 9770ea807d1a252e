"""Regexes of rules: RE2, so that hostile input costs linear time and a prover can read them as automata."""

import re2

from firewall.errors import shown
from firewall.ruleset.literal import ExpressionError, text_bytes


def compile_regex(regex: str) -> "re2._Regexp[bytes]":
    """Compile a regex as ``matches`` means it: case-insensitive (ASCII), found anywhere, on bytes.

    Raises:
        ExpressionError: RE2 refuses it; the offset is the one in the regex.
    """
    options = re2.Options()
    options.case_sensitive = False
    # Latin-1 is RE2's word for "a character is a byte": "." also matches a byte that is no UTF-8.
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    try:
        return re2.compile(text_bytes(regex), options)
    except re2.error as error:
        said = error.args[0].decode("utf-8", "replace") if error.args else "not a regex"
        what, _, fragment = said.partition(": ")
        offset = max(regex.find(fragment), 0) if fragment else 0
        cause = f'bad regex "{shown(regex)}": {shown(said)}, at its character {offset + 1}'
        raise ExpressionError(cause, _advice(what, fragment), offset) from None


def _advice(what: str, fragment: str) -> str:
    if what == "invalid perl operator" and fragment.startswith(("(?=", "(?!", "(?<")):
        return "RE2 has no lookaround; say it with a second comparison and and/not"
    if what == "invalid escape sequence" and fragment[1:2].isdigit():
        return "RE2 has no back-references"
    return "correct it, or escape the character with a backslash"
