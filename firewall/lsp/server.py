"""The server's talk with the editor: when a policy changes it is examined beside the loop, and findings are shown."""

import asyncio
import io
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from lsprotocol import types
from pygls.exceptions import FeatureRequestError, JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.workspace import ServerTextPosition, TextDocument

from firewall import __version__
from firewall.errors import PolicyError
from firewall.lint.finding import Finding, Report
from firewall.lsp import vocabulary
from firewall.lsp.action import quick_fixes
from firewall.lsp.diagnostic import Coordinates, diagnostic, findings_of
from firewall.lsp.protocol import PolicyProtocol, first_line

if TYPE_CHECKING:  # the library has the name for type checkers alone
    from pygls.server import ServerErrors

PAUSE_S = 0.3
"""How long the writer must pause before a policy is examined."""

Examine = Callable[[str, str], Report]
"""Examines a text as if it stood in a file; raises ``PolicyError`` where it cannot be used."""

_A_POLICY = re.compile(r"^policy\s*:", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Examined:
    """What was found in one version of a document."""

    version: int | None
    findings: tuple[Finding, ...]


class PolicyServer(LanguageServer):
    """A language server for policies. A YAML file without a top key ``policy`` is none of ours."""

    def __init__(self, examine: Examine) -> None:
        # The whole text with every change: the library would make an edit in lines that it counts in another way.
        whole = types.TextDocumentSyncKind.Full
        super().__init__("sosgate", __version__, text_document_sync_kind=whole, protocol_cls=PolicyProtocol)
        self._examine = examine
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lint")
        self._waiting: dict[str, asyncio.Task[None]] = {}
        self._examined: dict[str, _Examined] = {}
        self.was_told_to_stop = False

    def changed(self, uri: str) -> None:
        """Examine a document once its writer pauses; what waited for an earlier change is forgotten."""
        self.forget(uri)
        task = asyncio.get_running_loop().create_task(self._after_pause(uri))
        self._waiting[uri] = task
        task.add_done_callback(partial(self._done, uri))

    def forget(self, uri: str) -> None:
        """Examine a document no more."""
        task = self._waiting.pop(uri, None)
        if task is not None:
            task.cancel()

    def closed(self, uri: str) -> None:
        """Take a closed document's findings off the screen."""
        self.forget(uri)
        if self._examined.pop(uri, None) is not None:
            self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))

    def stop(self) -> None:
        """Begin nothing more."""
        self.was_told_to_stop = True
        for uri in list(self._waiting):
            self.forget(uri)
        self._worker.shutdown(wait=False, cancel_futures=True)

    def opened(self, uri: str) -> TextDocument:
        """Return a document that the editor has open.

        Raises:
            JsonRpcInvalidParams: it has not: what stands on the disk is none of the server's business.
        """
        document = self._open(uri)
        if document is None:
            raise JsonRpcInvalidParams(f"{uri} is not open here; send textDocument/didOpen first")
        return document

    def _open(self, uri: str) -> TextDocument | None:
        """Return a document that the editor has open; the library knows each by its name without escapes."""
        document: TextDocument | None = self.workspace.text_documents.get(unquote(uri))
        return document

    def report_server_error(self, error: Exception, source: "ServerErrors") -> None:
        """Tell the editor's log what could not be used; a request is told in its answer."""
        if source is FeatureRequestError:
            return
        message = f"a message of the editor could not be used: {first_line(str(error))}"
        self.window_log_message(types.LogMessageParams(types.MessageType.Error, message))

    def quick_fixes(self, params: types.CodeActionParams) -> list[types.CodeAction]:
        """Return the fixes of the findings in a range, none while the document has changed since."""
        document = self.opened(params.text_document.uri)
        examined = self._examined.get(document.uri)
        if examined is None or examined.version != document.version:
            return []
        identifier = types.VersionedTextDocumentIdentifier(document.version or 0, document.uri)
        return list(quick_fixes(examined.findings, params.range, identifier, _coordinates(document)))

    async def _after_pause(self, uri: str) -> None:
        await asyncio.sleep(PAUSE_S)
        document = self._open(uri)
        if document is None:  # saved, but never opened
            return
        version, text = document.version, document.source
        path = document.path or uri
        findings: tuple[Finding, ...] = ()
        if _A_POLICY.search(text):
            loop = asyncio.get_running_loop()
            outcome = await loop.run_in_executor(self._worker, _outcome, self._examine, text, path)
            findings = findings_of(outcome, path)
        elif uri not in self._examined:
            return
        self._examined[uri] = _Examined(version, findings)
        coordinates = _coordinates(document)
        shown = [diagnostic(finding, uri, coordinates) for finding in findings]
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, shown, version))

    def _done(self, uri: str, task: asyncio.Task[None]) -> None:
        if self._waiting.get(uri) is task:
            del self._waiting[uri]
        defect = None if task.cancelled() else task.exception()
        if defect is not None:
            message = (
                f"a bug in sosgate: {type(defect).__name__}: {defect}; this version of the policy was not examined"
            )
            self.window_log_message(types.LogMessageParams(types.MessageType.Error, message))


def _outcome(examine: Examine, text: str, path: str) -> Report | PolicyError:
    try:
        return examine(text, path)
    except PolicyError as error:
        return error


def _coordinates(document: TextDocument) -> Coordinates:
    return Coordinates(_lines(document), document.position_codec)


def _lines(document: TextDocument) -> list[str]:
    """Return a document's lines as the protocol divides them; the library's end at a form feed and at U+2028, too."""
    return io.StringIO(document.source, newline="").readlines()


def new_server(examine: Examine) -> PolicyServer:
    """Return a server that answers; ``start_io`` makes it talk on stdin and stdout."""
    server = PolicyServer(examine)

    def on(feature: str, act: Callable[[str], None]) -> None:
        @server.feature(feature)
        def _told(params: Any) -> None:
            act(params.text_document.uri)

    on(types.TEXT_DOCUMENT_DID_OPEN, server.changed)
    on(types.TEXT_DOCUMENT_DID_CHANGE, server.changed)
    on(types.TEXT_DOCUMENT_DID_SAVE, server.changed)  # a list file may have been saved before it
    on(types.TEXT_DOCUMENT_DID_CLOSE, server.closed)

    @server.feature(types.SHUTDOWN)
    def _shutdown(_: None) -> None:
        server.stop()

    @server.feature(
        types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix])
    )
    def _quick_fixes(params: types.CodeActionParams) -> list[types.CodeAction]:
        return server.quick_fixes(params)

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    def _hover(params: types.HoverParams) -> types.Hover | None:
        return _meaning_at(server.opened(params.text_document.uri), params.position)

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=[".", "[", "{"]))
    def _complete(params: types.CompletionParams) -> list[types.CompletionItem]:
        return _proposals_at(server.opened(params.text_document.uri), params.position)

    return server


def _meaning_at(document: TextDocument, client_position: types.Position) -> types.Hover | None:
    lines = _lines(document)
    position = document.position_codec.position_from_client_units(lines, client_position)
    if position.line >= len(lines):
        return None
    told = vocabulary.meaning(lines, position.line, position.character)
    return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, told)) if told is not None else None


def _proposals_at(document: TextDocument, client_position: types.Position) -> list[types.CompletionItem]:
    codec, lines = document.position_codec, [*_lines(document), ""]
    position = codec.position_from_client_units(lines, client_position)
    word = vocabulary.word_at(lines[position.line], position.character)
    start = word[1] if word is not None else position.character
    at = codec.position_to_client_units(lines, ServerTextPosition(position.line, start))
    where = types.Range(at if word is not None else client_position, client_position)
    return [
        types.CompletionItem(name, documentation=told or None, text_edit=types.TextEdit(where, name))
        for name, told in vocabulary.proposals(lines, position.line, start)
    ]
