"""How the server answers what it cannot use: every request gets an answer, and an error is one sentence.

The library sends the traceback of a defect to the editor, and leaves a request without an answer when its parameters
have the wrong form. Neither helps who writes a policy.
"""

import logging
from typing import Any

from lsprotocol.types import ResponseError
from pygls.exceptions import JsonRpcException, JsonRpcInvalidRequest
from pygls.protocol import LanguageServerProtocol
from pygls.protocol.json_rpc import RPCRequest


class PolicyProtocol(LanguageServerProtocol):
    """JSON-RPC with an editor. The library has no public place to change an answer: hence ``_send_response``."""

    def structure_message(self, data: dict[str, Any]) -> Any:
        """Return the message that an object is, and answer a request that is none.

        Raises:
            JsonRpcException: the object has not the form of its method; a request has been answered then.
        """
        if "jsonrpc" in data and "method" in data:
            data.setdefault("params", None)  # JSON-RPC 2.0 §4: they may be left out
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            if "method" in data and isinstance(data.get("id"), int | str):
                self._send_response(data["id"], error=error.to_response_error())
            raise

    def handle_message(self, message: Any) -> None:
        """Pass a message on.

        Raises:
            JsonRpcInvalidRequest: it is none of JSON-RPC.
        """
        if not hasattr(message, "jsonrpc"):
            raise JsonRpcInvalidRequest("no JSON-RPC message")
        if self._shutdown and isinstance(message, RPCRequest):
            refusal = JsonRpcInvalidRequest("the server was told to shut down")  # LSP 3.17: after it, only `exit`
            self._send_response(message.id, error=refusal.to_response_error())
            return
        super().handle_message(message)

    def _send_response(self, msg_id: int | str, result: Any = None, error: ResponseError | None = None) -> None:
        if error is not None:
            error = ResponseError(error.code, first_line(error.message))
        super()._send_response(msg_id, result, error)


class OneLine(logging.Formatter):
    """Writes what the library logs without its tracebacks, for the editor's log of the server."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        error = record.exc_info[1] if record.exc_info else None
        said = first_line(record.getMessage())
        return f"sosgate lsp: {said}" + (f": {first_line(str(error))}" if error is not None else "")


def first_line(text: str) -> str:
    """Return the first line of a text."""
    return text.partition("\n")[0]
