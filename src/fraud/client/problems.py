"""What can go wrong between a client and the service.

FraudClientError
├── FraudProblem      the service answered with a problem (RFC 9457)
└── FraudUnreachable  nobody answered before the deadline
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from fraud.client.shapes import ErrorAnswer

__all__ = ["FraudClientError", "FraudProblem", "FraudUnreachable", "problem_of"]


class FraudClientError(Exception):
    """Base of what this client raises."""


class FraudUnreachable(FraudClientError):  # noqa: N818 - it reads as what it says
    """Nobody answered before the deadline; the last reason is the cause of this error."""


class FraudProblem(FraudClientError):  # noqa: N818 - the name that RFC 9457 gives it
    """The service's answer was a problem.

    `code` is its stable name, such as `faults` or `overloaded`; `errors` names every fault of the body.
    `request_id` is what the service's log calls the request.
    """

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str = "",
        errors: Sequence[ErrorAnswer] = (),
        request_id: str | None = None,
    ) -> None:
        super().__init__(_says(status, code, title, detail, errors))
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.request_id = request_id


def _says(status: int, code: str, title: str, detail: str, errors: Sequence[ErrorAnswer]) -> str:
    some = "; ".join(f"{e['pointer']}: {e['detail']}" for e in errors[:5])
    more = f" (and {len(errors) - 5} more)" if len(errors) > 5 else ""
    return f"{status} {code}: {detail or title}" + (f" {some}{more}" if some else "")


def problem_of(response: httpx.Response) -> FraudProblem:
    """The problem that a response tells; what is no problem document, a proxy's page say, has the code `http`."""
    body = _body(response)
    kind = body.get("type")
    code = kind.rsplit(":", 1)[-1] if isinstance(kind, str) and kind else "http"
    return FraudProblem(
        status=response.status_code,
        code=code,
        title=str(body.get("title") or response.reason_phrase),
        detail=str(body.get("detail") or ""),
        errors=_errors(body.get("errors")),
        request_id=response.headers.get("x-request-id"),
    )


def _body(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _errors(entries: object) -> list[ErrorAnswer]:
    """The faults of a body; anything of another form is left out."""
    given = entries if isinstance(entries, list) else []
    return [e for e in given if isinstance(e, dict) and {"pointer", "detail"} <= e.keys()]  # type: ignore[misc]
