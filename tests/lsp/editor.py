"""An editor for the tests: raw JSON-RPC with a language server on pipes; every wait is bounded."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
WAIT_S = 60

Message = dict[str, Any]


class Editor:
    """Sends requests and notifications, and keeps what the server says until somebody waits for it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._heard: queue.Queue[Message] = queue.Queue()
        self._unclaimed: list[Message] = []
        self._last_id = 0
        self.capabilities: Message = {}
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while header := stream.readline():
            length = int(header.split(b":")[1])
            while stream.readline().strip():
                pass
            self._heard.put(json.loads(stream.read(length)))

    def _send(self, message: Message) -> None:
        self.send_raw(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def wait(self, wanted: Callable[[Message], bool]) -> Message:
        """Return the first message that is wanted; the others are kept."""
        for message in self._unclaimed:
            if wanted(message):
                self._unclaimed.remove(message)
                return message
        while True:
            message = self._heard.get(timeout=WAIT_S)
            if wanted(message):
                return message
            self._unclaimed.append(message)

    def notify(self, method: str, params: Any = None) -> None:
        self._send({"method": method, "params": params})

    def request(self, method: str, params: Any = None) -> Any:
        answer = self.answer({"method": method, "params": params})
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def answer(self, message: Message) -> Message:
        """Send a request as it is, and return the answer whatever it says."""
        self._last_id += 1
        number = self._last_id
        self._send({"id": number, **message})
        return self.wait(lambda message: message.get("id") == number)

    def send_raw(self, body: bytes) -> None:
        """Send any bytes as the body of a message."""
        stream = self._process.stdin
        assert stream is not None
        stream.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        stream.flush()

    def open(self, uri: str, text: str) -> None:
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def replace(self, uri: str, version: int, text: str) -> None:
        """Change the whole text."""
        params = {"textDocument": {"uri": uri, "version": version}, "contentChanges": [{"text": text}]}
        self.notify("textDocument/didChange", params)

    def diagnostics(self, uri: str, version: int | None) -> list[Message]:
        """Wait for what is found in one version of a document."""

        def wanted(message: Message) -> bool:
            if message.get("method") != "textDocument/publishDiagnostics":
                return False
            return message["params"]["uri"] == uri and message["params"].get("version") == version

        found: list[Message] = self.wait(wanted)["params"]["diagnostics"]
        return found

    def quick_fixes(self, uri: str, where: Message) -> list[Message]:
        params = {"textDocument": {"uri": uri}, "range": where, "context": {"diagnostics": []}}
        found: list[Message] = self.request("textDocument/codeAction", params)
        return found

    def hover(self, uri: str, line: int, character: int) -> Any:
        return self.request("textDocument/hover", _at(uri, line, character))

    def complete(self, uri: str, line: int, character: int) -> list[Message]:
        found: list[Message] = self.request("textDocument/completion", _at(uri, line, character))
        return found

    def leave(self) -> int:
        """Say good-bye as an editor does, and return the server's exit code."""
        self.request("shutdown")
        self.notify("exit")
        return self._process.wait(WAIT_S)


def _at(uri: str, line: int, character: int) -> Message:
    return {"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}


@contextmanager
def editor(folder: Path, encodings: tuple[str, ...] = ("utf-16",)) -> Iterator[Editor]:
    """Start ``sosgate lsp`` and greet it; it is ended whatever happens.

    What it says on stderr stands in ``stderr.txt`` in the folder.
    """
    with (folder / "stderr.txt").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "firewall", "lsp", "--stdio"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    with process:
        try:
            started = Editor(process)
            capabilities = {"general": {"positionEncodings": list(encodings)}}
            greeting = {"processId": None, "rootUri": folder.as_uri(), "capabilities": capabilities}
            started.capabilities = started.request("initialize", greeting)["capabilities"]
            started.notify("initialized", {})
            yield started
        finally:
            process.kill()


def edited(text: str, edits: list[Message]) -> str:
    """Make text edits (UTF-16 positions) as an editor does."""
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode("utf-16-le")) + 2)
    data = text.encode("utf-16-le")
    for edit in sorted(edits, key=lambda each: (each["range"]["start"]["line"], each["range"]["start"]["character"]))[
        ::-1
    ]:
        first, last = (
            starts[at["line"]] + 2 * at["character"] for at in (edit["range"]["start"], edit["range"]["end"])
        )
        data = data[:first] + edit["newText"].encode("utf-16-le") + data[last:]
    return data.decode("utf-16-le")
