"""Requests, answers and the body shapes Partner Center uses for refusals."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Request:
    """One HTTP request, read completely, with what the contract check learned about it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """Header names are lower case."""
    body: bytes
    tenant: str = ""
    """The partner tenant the bearer belongs to; empty until the contract check has passed."""
    request_id: str = ""
    correlation_id: str = ""

    @property
    def is_write(self) -> bool:
        return self.method not in {"GET", "HEAD"}


@dataclass
class Answer:
    """What to send back.  `text` wins over `body`; both None means no body at all."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    text: str | None = None
    content_type: str = "application/json; charset=utf-8"


class RefusedError(Exception):
    """Ends the handling of a request with this answer.

    What was written to the ledger before it is kept: Partner Center really does create the tenant before it
    rejects the notification address.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def error(status: int, code: int, description: str, data: list[str] | None = None) -> Answer:
    """Partner Center's usual refusal: `code` is a JSON number although its documentation says string."""
    return Answer(status, {"code": code, "description": description, "data": data or [], "source": "PartnerFD"})


def detailed_error(status: int, code: int, name: str, description: str, *, retryable: bool = False) -> Answer:
    """The second body shape, of the customer and agreement service."""
    body = {
        "code": code,
        "message": description,
        "description": description,
        "errorName": name,
        "isRetryable": retryable,
        "parameters": {},
        "errorMessageExtended": f"InternalErrorCode={code}",
    }
    return Answer(status, body)


def throttled(seconds: int) -> Answer:
    """The gateway's 429, which does not have the usual shape."""
    message = f"Rate limit is exceeded. Try again in {seconds} seconds."
    return Answer(429, {"statusCode": 429, "message": message}, {"Retry-After": str(seconds)})


def html(status: int, title: str) -> Answer:
    """A proxy's page in place of an answer."""
    page = f"<!DOCTYPE html>\r\n<html><head><title>{status} {title}</title></head><body><h1>{title}</h1></body></html>\r\n"
    return Answer(status, text=page, content_type="text/html; charset=utf-8")


def shaped(shape: int, status: int, code: str, words: str) -> Answer:
    """A refusal in one of the shapes that callers have to understand: 1 to 5 are Microsoft's, 6 to 8 other vendors'."""
    number = int(code) if code.isdecimal() else 0
    bodies: dict[int, Any] = {
        1: {"code": number, "description": words, "data": [], "source": "PartnerFD"},
        3: {"statusCode": number, "message": words},
        4: {
            "error": "invalid_grant",
            "error_description": f"AADSTS{code}: {words}",
            "error_codes": [number],
            "correlation_id": "",
            "trace_id": "",
        },
        6: {"code": code, "message": words, "additionalDetails": ["sandbox"]},
        7: {"error": {"code": status, "status": "FAILED_PRECONDITION", "message": words, "details": [{"reason": code}]}},
        8: {"error_code": code, "errors": [words]},
    }
    if shape == 2:
        return detailed_error(status, number, "AskedFor", words)
    if shape == 5:
        return html(status, words)
    return Answer(status, bodies[shape])


SHAPES = range(1, 9)


def collection(items: list[dict[str, Any]], uri: str) -> Answer:
    """Partner Center's envelope around a list."""
    links = {"self": {"uri": uri, "method": "GET", "headers": []}}
    return Answer(200, {"totalCount": len(items), "items": items, "links": links, "attributes": {"objectType": "Collection"}})
