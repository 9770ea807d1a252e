"""The server as an editor meets it: on pipes, by JSON-RPC."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lsp.editor import ROOT, Editor, edited, editor

BROKEN = (ROOT / "rules" / "demo" / "broken.yaml").read_text()
UNUSABLE = BROKEN.replace("sip.Method ==", "sip.Metod ==", 1)
LISTED = """policy: listed
sets:
  scanners: {file: agents.txt}
rules:
  - name: scanners
    when: sip.User-Agent in $scanners
    action: drop
  - name: all
    when: sip
    action: allow
default: drop
"""


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    """One editor with many files, which no test may bring down."""
    folder = tmp_path_factory.mktemp("editor")
    with editor(folder) as started:
        yield started
        assert started.leave() == 0
    assert "Traceback" not in (folder / "stderr.txt").read_text()


def test_a_blocked_call_is_shown_where_the_rule_asks_for_it_and_its_quick_fix_mends_it(tmp_path: Path) -> None:
    uri = (tmp_path / "broken.yaml").as_uri()
    with editor(tmp_path) as person:
        person.open(uri, BROKEN)
        blocked, guard = person.diagnostics(uri, 1)
        assert (blocked["code"], blocked["severity"], blocked["source"]) == ("SOS101", 1, "sosgate")
        line = BROKEN.split("\n")[blocked["range"]["start"]["line"]]
        expression = line[blocked["range"]["start"]["character"] : blocked["range"]["end"]["character"]]
        assert expression == 'sip.Method == "INVITE" and len(sip.r-uri.user) < 7'
        assert "witness: INVITE " in blocked["message"]
        assert (guard["code"], guard["severity"]) == ("SOS208", 2)

        (action,) = person.quick_fixes(uri, blocked["range"])
        assert action["kind"] == "quickfix"
        assert action["isPreferred"] is True
        (change,) = action["edit"]["documentChanges"]
        assert change["textDocument"] == {"uri": uri, "version": 1}
        person.replace(uri, 2, edited(BROKEN, change["edits"]))
        assert [each["code"] for each in person.diagnostics(uri, 2)] == ["SOS208"]
        assert person.leave() == 0


def test_an_unusable_policy_is_shown_at_the_place_of_its_mistake(tmp_path: Path, person: Editor) -> None:
    uri = (tmp_path / "policy.yaml").as_uri()
    person.open(uri, UNUSABLE)
    (mistake,) = person.diagnostics(uri, 1)
    line = UNUSABLE.split("\n")[mistake["range"]["start"]["line"]]
    assert line[mistake["range"]["start"]["character"] :].startswith("sip.Metod")
    assert mistake["code"] == "SOS001"
    assert 'did you mean "sip.Method"?' in mistake["message"]
    person.replace(uri, 2, "policy: [")
    (mistake,) = person.diagnostics(uri, 2)
    assert "not YAML" in mistake["message"]


def test_only_the_last_of_fast_changes_is_examined(tmp_path: Path) -> None:
    uri = (tmp_path / "policy.yaml").as_uri()
    with editor(tmp_path) as person:
        person.open(uri, BROKEN)
        for version in range(2, 6):
            person.replace(uri, version, UNUSABLE)
        person.replace(uri, 6, BROKEN)
        first = person.wait(lambda message: message.get("method") == "textDocument/publishDiagnostics")
        assert first["params"]["version"] == 6
        assert [each["code"] for each in first["params"]["diagnostics"]] == ["SOS101", "SOS208"]


def test_list_files_are_read_beside_the_policy_and_again_when_it_is_saved(tmp_path: Path, person: Editor) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    uri = (folder / "policy.yaml").as_uri()
    person.open(uri, LISTED)
    (mistake,) = person.diagnostics(uri, 1)
    assert "cannot read the list file" in mistake["message"]
    (folder / "agents.txt").write_bytes(b"friendly-scanner\n\xff\n")
    person.notify("textDocument/didSave", {"textDocument": {"uri": uri}})
    (mistake,) = person.diagnostics(uri, 1)
    assert "agents.txt:2:1: " in mistake["message"]
    (folder / "agents.txt").write_text("friendly-scanner\n")
    person.notify("textDocument/didSave", {"textDocument": {"uri": uri}})
    assert "SOS001" not in {each["code"] for each in person.diagnostics(uri, 1)}


def test_a_yaml_file_that_is_no_policy_is_left_alone_and_a_closed_policy_shows_nothing(tmp_path: Path) -> None:
    other, uri = (tmp_path / "compose.yaml").as_uri(), (tmp_path / "policy.yaml").as_uri()
    with editor(tmp_path) as person:
        person.open(other, "services: {web: {image: nginx}}\n")
        person.open(uri, UNUSABLE)
        first = person.wait(lambda message: message.get("method") == "textDocument/publishDiagnostics")
        assert first["params"]["uri"] == uri
        person.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
        assert person.diagnostics(uri, None) == []


def test_names_with_escapes_in_their_address_and_half_a_character_are_no_obstacle(
    tmp_path: Path, person: Editor
) -> None:
    uri = (tmp_path / "our policies, für alle.yaml").as_uri()
    assert "%20" in uri
    person.open(uri, BROKEN)
    assert [each["code"] for each in person.diagnostics(uri, 1)] == ["SOS101", "SOS208"]
    line = next(number for number, each in enumerate(BROKEN.split("\n")) if each.startswith("policy:"))
    assert person.hover(uri, line, 2) is not None
    person.replace(uri, 2, f"{BROKEN}# \ud83d\n")
    (mistake,) = person.diagnostics(uri, 2)
    assert "not a text file" in mistake["message"]


@pytest.mark.parametrize(("encoding", "units"), [("utf-16", 2), ("utf-32", 1), ("utf-8", 4)])
def test_places_are_counted_as_the_editor_counts(encoding: str, units: int, tmp_path: Path) -> None:
    text = BROKEN.replace("when: sip.Method ==", 'when: sip.Subject != "🚒" and sip.Metod ==', 1)
    uri = (tmp_path / "policy.yaml").as_uri()
    with editor(tmp_path, (encoding,)) as person:
        person.open(uri, text)
        (mistake,) = person.diagnostics(uri, 1)
    line = text.split("\n")[mistake["range"]["start"]["line"]]
    assert mistake["range"]["start"]["character"] == line.index("sip.Metod") - 1 + units


@pytest.mark.parametrize("odd", ["\x0c", "\u2028", "\x85"])
def test_lines_are_those_of_the_editor_whatever_else_may_end_one(odd: str, tmp_path: Path, person: Editor) -> None:
    """A form feed is how Emacs divides a file into pages."""
    uri = (tmp_path / "policy.yaml").as_uri()
    text = BROKEN.replace("rules:", f"# page {odd}\nrules:")
    assert person.capabilities["textDocumentSync"]["change"] == 1  # the whole text: no edit is made in other lines
    person.open(uri, text)
    person.diagnostics(uri, 1)
    row, line = next((row, line) for row, line in enumerate(text.split("\n")) if "len(sip.r-uri.user)" in line)
    assert person.hover(uri, row, line.index("r-uri"))["contents"]["value"].startswith("**sip.r-uri.user**")


def test_a_new_last_line_is_one_of_its_own(tmp_path: Path, person: Editor) -> None:
    uri = (tmp_path / "policy.yaml").as_uri()
    person.open(uri, "policy: x\n")
    assert "rules" in {each["label"] for each in person.complete(uri, 1, 0)}


def test_what_was_saved_without_being_opened_is_left_alone(tmp_path: Path) -> None:
    uri = (tmp_path / "policy.yaml").as_uri()
    with editor(tmp_path) as person:
        person.notify("textDocument/didSave", {"textDocument": {"uri": (tmp_path / "other.yaml").as_uri()}})
        person.open(uri, UNUSABLE)
        assert person.wait(lambda message: "method" in message)["method"] == "textDocument/publishDiagnostics"


def test_a_request_behind_the_good_bye_is_answered(tmp_path: Path) -> None:
    with editor(tmp_path) as person:
        person.request("shutdown")
        for method in ("textDocument/hover", "shutdown"):
            error = person.answer({"method": method, "params": _NOWHERE if method != "shutdown" else None})["error"]
            assert (error["code"], error["message"]) == (-32600, "the server was told to shut down")


def test_fields_and_keys_are_explained_and_proposed(tmp_path: Path, person: Editor) -> None:
    uri = (tmp_path / "broken.yaml").as_uri()
    lines = BROKEN.split("\n")
    person.open(uri, BROKEN)
    person.diagnostics(uri, 1)
    row = next(index for index, line in enumerate(lines) if "len(sip.r-uri.user)" in line)
    told = person.hover(uri, row, lines[row].index("r-uri"))["contents"]["value"]
    assert told.startswith("**sip.r-uri.user**")
    assert person.hover(uri, row, lines[row].index("< 7")) is None
    offered = {each["label"]: each for each in person.complete(uri, row, lines[row].index("r-uri"))}
    assert "sip.r-uri.host" in offered
    assert offered["sip.r-uri.host"]["textEdit"]["range"]["start"]["character"] == lines[row].index("sip.r-uri")
    assert {"limit", "schedule", "when"} <= {each["label"] for each in person.complete(uri, row, 4)}


_NOWHERE = {"textDocument": {"uri": "file:///nowhere.yaml"}, "position": {"line": 0, "character": 0}}
_RANGE = {"start": _NOWHERE["position"], "end": _NOWHERE["position"]}


@pytest.mark.parametrize(
    ("request_sent", "told"),
    [
        ({"method": "textDocument/hover", "params": _NOWHERE}, "file:///nowhere.yaml is not open here"),
        ({"method": "textDocument/completion", "params": _NOWHERE}, "file:///nowhere.yaml is not open here"),
        (
            {
                "method": "textDocument/codeAction",
                "params": {**_NOWHERE, "range": _RANGE, "context": {"diagnostics": []}},
            },
            "file:///nowhere.yaml is not open here",
        ),
        ({"method": "textDocument/hover", "params": {}}, "Invalid Params"),
        ({"method": "textDocument/hover", "params": [1, "x"]}, "Invalid Params"),
        ({"method": "textDocument/hover"}, "I"),
        ({"method": "sosgate/none"}, "Method Not Found: sosgate/none"),
        ({"method": "sosgate/none", "params": 7}, "Method Not Found: sosgate/none"),
    ],
)
def test_a_request_that_cannot_be_served_is_answered_in_one_sentence(
    request_sent: dict[str, object], told: str, person: Editor
) -> None:
    error = person.answer(request_sent)["error"]
    assert error["message"].startswith(told)
    assert "\n" not in error["message"]
    assert error.get("data") is None


@pytest.mark.parametrize("body", [b"{not json", b"[]", b"42", b"null", b"{}", b'{"jsonrpc": "2.0"}', b"\xff\xfe"])
def test_bytes_that_are_no_message_are_told_in_the_log_and_the_server_goes_on(
    body: bytes, tmp_path: Path, person: Editor
) -> None:
    uri = (tmp_path / "policy.yaml").as_uri()
    person.send_raw(body)
    person.open(uri, UNUSABLE)
    assert len(person.diagnostics(uri, 1)) == 1
