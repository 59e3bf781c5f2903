"""What the framework's OpenAPI document cannot know by itself: how refusals look and what a request must carry."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from api.dependencies import COOKIE
from api.security.csrf import HEADER, SAFE_METHODS

_PROBLEM_REF: Final = "#/components/schemas/Problem"
#: Every route answers with a problem where it does not answer as it says.
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    "default": {
        "description": "What happened, what was kept, what to do (RFC 9457)",
        "content": {"application/problem+json": {"schema": {"$ref": _PROBLEM_REF}}},
    }
}
#: Operations that need no session.
_OPEN: Final = frozenset({"logIn"})


class Problem(BaseModel):
    """One of our errors (``application/problem+json``). ``code`` is stable; ``reason`` is told for refusals.

    ``fields``: name of a field of a form -> stable code of what is wrong with it.
    """

    model_config = ConfigDict(extra="forbid")

    type: str
    title: str
    status: int
    detail: str
    code: str
    retry: str
    kept: str | None = None
    todo: str | None = None
    reason: str | None = None
    fields: dict[str, str] | None = None


def bytes_of(*media_types: str, ranges: bool = False) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that sends bytes of these types."""
    content: dict[str, Any] = {name: {"schema": {"type": "string", "format": "binary"}} for name in media_types}
    whole: dict[int | str, dict[str, Any]] = {200: {"description": "The bytes", "content": content}}
    if ranges:
        whole[206] = {"description": "The bytes of the range asked for", "content": content}
        whole[416] = {"description": "The range lies outside; ``Content-Range`` tells the size"}
    return whole


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """Add the problem's schema, the session's cookie and the token of unsafe requests to the document."""
    components = document.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
    components["securitySchemes"] = {
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
        "csrf": {"type": "apiKey", "in": "header", "name": HEADER},
    }
    for path in document["paths"].values():
        for method, operation in path.items():
            safe = method.upper() in SAFE_METHODS
            needed: dict[str, list[str]] = {"session": []} if safe else {"session": [], "csrf": []}
            operation["security"] = [] if operation["operationId"] in _OPEN else [needed]
    return document
