"""Pages generated from the tables that the code itself works with: the files of ``GENERATED``.

``python -m firewall.cli.reference`` writes them; with ``--check`` it says which are out of date and exits with 1.
"""

import json
import sys
from pathlib import Path

from firewall.cli.reasons_page import reasons_page
from firewall.cli.tracking_page import tracking_page
from firewall.lint.codes import codes_page
from firewall.ruleset.field_spec import FieldSpec
from firewall.ruleset.fields import FIELDS
from firewall.ruleset.kind import MOST_LISTED
from firewall.ruleset.schema import json_schema

_FIELDS_HEAD = """\
# Fields

Everything a rule's `when` can look at. This page is generated from the table that the rules are read with;
`docs/policy.md` explains the language around it.

- **text**: `==` and `contains` mind the case, `matches` does not. `len lower upper count`, slices.
- **number**: `== != > >= < <=`, `in {200..299}`, `count`.
- **address**: `==` and `in` take networks, too.
- **flag**: true or false. One of ours alone means "is true"; one of Wireshark's alone means "is present".
- **protocol**: alone it means "is present".

A field may have several values in one message (`sip.Via`): `==` and the like hold when **some** value does, `!=` holds
when the field is present and **every** value differs. An absent field makes each of them false.
"""
_OWN_HEAD = "\n## Fields of sosgate\n"
_WIRESHARK_HEAD = """
## Fields of Wireshark

Names and meanings are those of Wireshark 4, so a rule can be pasted into its filter bar, and the tests compare every
field with `tshark`. Where they differ, sosgate mostly reads what Wireshark overlooks: a sender could hide behind it.

| field | Wireshark 4.0 | sosgate |
| --- | --- | --- |
| any, in a request to what has no colon (`INVITE 911 SIP/2.0`) | nothing: no SIP | read as usual |
| `*.user` | holds the password, too (`bob:secret`); overlooks a user of one character | the user alone, however long |
| `sip.r-uri.user` and other parts | nothing when the scheme is in capitals (`SIP:`) | scheme in any case |
| `sip.r-uri.param` | nothing | each parameter |
| `sip.from.tag`, `sip.to.tag` | nothing for `;TAG=` | parameter name in any case |
| `sip.pai.*`, `sip.ppi.*` | the first address of a line | every address of a line |
| `sip.Route.*`, `sip.Path.*` … | no value behind one with parameters of its own | every value of a line |
| `*.addr` and its parts behind a quote without an end (`"Jane Doe <sip:…>`) | nothing | the address |
| `*.addr`, `*.uri` without brackets | nothing unless it begins with `sip` (`To: urn:service:sos`) | the URI |
| `sip.Via.*` | nothing for `;BRANCH=x` or `; branch = x`; no port without a parameter | as usual; any case, blanks |
| `sip.Via.*` behind a damaged protocol (`SIP/2.xUDP`) | may find the rest | nothing; anomaly `via_unreadable` |
| `*.param` | the last one with the URI's headers (`lr?Subject=x`) | without them |
| `*.port` of a URI or Via over 65535 | the digits, of a Via 65535 | absent: no packet can have it |
| `*.port` of a URI without brackets | overlooks one of one digit at its end (`sip:a@b:9`) | the number |
| `*.port` of a URI | whatever stands there, as it is written (`05060`) | the number (`5060`) |
| numbers (`sip.Expires` …) | 0 for text; 0 for `18000;duration=3600` | absent for text; the digits it begins with |
| `sip.CSeq.seq`, `sip.CSeq.method` | of every line | of the first, which tells the transaction |
| a CR without LF in a header | a line end: another header may follow | part of the value; anomaly `bare_cr` |
| text of a folded or padded header | with its line breaks and blanks | unfolded, without blanks around it |
| all behind what Wireshark gives up at (`[Malformed Packet]`, a line of SDP without `=`) | nothing | read as usual |
| `rtp`, `rtp.*` | what a heuristic or earlier SDP made Wireshark decode | media that an allowed SDP negotiated |
| `sdp`, `sdp.*` | nothing of a body without a Content-Type | a body without one that begins with `v=0` is SDP |
| `tcp.*` | every segment | messages that came over TCP |
| `ip`, `ipv6`, `udp`, `tcp` and ports of a PDU that Wireshark exported | nothing | those it came with |
"""
_TABLE_HEAD = "\n| field | type | what it is |\n| --- | --- | --- |\n"


def fields_page() -> str:
    """Return the page of all fields, in Markdown."""
    own = [spec for spec in FIELDS.values() if spec.own]
    wireshark = [spec for spec in FIELDS.values() if not spec.own]
    return _FIELDS_HEAD + _OWN_HEAD + _table(own) + _WIRESHARK_HEAD + _table(wireshark)


def _table(specs: list[FieldSpec]) -> str:
    rows = [f"| `{spec.name}` | {spec.type} | {_meaning(spec)} |\n" for spec in sorted(specs, key=_sort_key)]
    return _TABLE_HEAD + "".join(rows)


def _sort_key(spec: FieldSpec) -> tuple[str, str]:
    return spec.name.lower(), spec.name


def _meaning(spec: FieldSpec) -> str:
    if spec.choices is None or len(spec.choices) > MOST_LISTED:
        return spec.description
    return f"{spec.description}: {', '.join(f'`{choice}`' for choice in spec.choices)}"


def schema_page() -> str:
    """Return the JSON Schema of a policy file, as JSON."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


GENERATED = {
    "docs/fields.md": fields_page,
    "docs/lint-codes.md": codes_page,
    "docs/policy.schema.json": schema_page,
    "docs/reasons.md": reasons_page,
    "docs/tracking.md": tracking_page,
}


def outdated(root: Path) -> list[str]:
    """Return the generated files under ``root`` that are not what would be generated now."""
    stale = []
    for name, page in GENERATED.items():
        path = root / name
        if not path.exists() or path.read_text(encoding="utf-8") != page():
            stale.append(name)
    return stale


def write(root: Path) -> None:
    """Write the generated files under ``root``."""
    for name, page in GENERATED.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(page(), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Write the files into the current folder, or check them with ``--check``; return the exit status."""
    if arguments != ["--check"]:
        write(Path())
        return 0
    stale = outdated(Path())
    for name in stale:
        sys.stderr.write(f"{name}: error: not what the tables say; run make docs\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
