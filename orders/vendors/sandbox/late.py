"""Effects that come after their call was lost: a purchase that nobody heard of, and that is not there yet when one looks.

What is to happen is written to the ledger before the connection is reset, so it also happens when the vendor is killed.
"""

import base64
import uuid
from contextlib import suppress

from .answers import RefusedError, Request
from .ledger import Document
from .state import Sandbox


def postpone(sandbox: Sandbox, request: Request, seconds: float) -> None:
    """Let this call have its effect so many virtual seconds from now."""
    call: Document = {
        "id": str(uuid.uuid4()),
        "due": sandbox.clock.now() + seconds,
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "headers": {name: value for name, value in request.headers.items() if name != "authorization"},
        "body": base64.b64encode(request.body).decode("ascii"),
        "tenant": request.tenant,
        "requestId": request.request_id,
        "correlationId": request.correlation_id,
    }
    sandbox.ledger.put("late", call["id"], request.tenant, request.tenant, call)


def apply_due(sandbox: Sandbox) -> None:
    """Let the calls whose time has come have their effects, at their own moment and in their order."""
    due = [call for call in sandbox.ledger.every("late") if call["due"] <= sandbox.clock.now()]
    for call in sorted(due, key=lambda call: call["due"]):
        sandbox.ledger.delete("late", call["id"])
        with sandbox.clock.frozen_at(call["due"]), suppress(RefusedError):
            sandbox.route(sandbox, _request(call))


def waiting(sandbox: Sandbox) -> list[Document]:
    """The calls that will have an effect, for the control API."""
    return [{name: call[name] for name in ("due", "method", "path", "requestId")} for call in sandbox.ledger.every("late")]


def _request(call: Document) -> Request:
    return Request(
        call["method"],
        call["path"],
        call["query"],
        call["headers"],
        base64.b64decode(call["body"]),
        call["tenant"],
        call["requestId"],
        call["correlationId"],
    )
