"""Reading a request's body: bounded while it arrives, JSON and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request

from fraud.web.bodies.problems import Problem

__all__ = ["MOST_BYTES", "MOST_DEPTH", "MOST_LINES", "Accepted", "parsed", "read_body"]

MOST_BYTES = 1 << 20
MOST_LINES = 2_000
MOST_DEPTH = 64
# How much of a body that is too large is still read, and thrown away: a sender who is cut off in the middle
# of sending often never sees the answer.
_MOST_DISCARDED = 16 << 20
_UTF8 = ("", "charset=utf-8", 'charset="utf-8"')


@dataclass(frozen=True)
class Accepted:
    """What a call takes as a body: media types, the first of which is named in problems, and bytes at most."""

    media_types: tuple[str, ...] = ("application/json",)
    most_bytes: int = MOST_BYTES


async def read_body(request: Request, accepted: Accepted = Accepted()) -> bytes:  # noqa: B008 - it is frozen
    """The body's bytes; raises `Problem` for another media type, or when it is too large.

    No more than the permitted size is ever held.
    """
    _check_type(request, accepted.media_types)
    declared = request.headers.get("content-length", "")
    expected = int(declared) if declared.isdecimal() else 0
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream() if expected <= _MOST_DISCARDED else _nothing():
        size += len(chunk)
        if size <= accepted.most_bytes:
            chunks.append(chunk)
        elif size > _MOST_DISCARDED:
            break
    if max(size, expected) > accepted.most_bytes:
        raise Problem(
            "too-large",
            f"A body may have at most {accepted.most_bytes:,} bytes. Send fewer claims.",
            headers={"Connection": "close"},
        )
    return b"".join(chunks)


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


def _check_type(request: Request, media_types: tuple[str, ...]) -> None:
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower()
    if media_type.strip().lower() not in media_types or charset not in _UTF8:
        raise Problem("media-type", f"Send the body with Content-Type: {' or '.join(media_types)}, in UTF-8.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem("media-type", "Send the body without Content-Encoding: it is not unpacked.")


def parsed(body: bytes) -> Any:
    """The JSON value of a body; raises `Problem` for what is not JSON, too deep or too long."""
    if not body:
        raise Problem("not-json", "The body is empty. Send a JSON object; /docs.json describes it.")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # The parser gives up at some depth of its own, far beyond ours.
        if any(word in error.msg.lower() for word in ("depth", "recursion")):
            raise _too_deep() from None
        raise Problem("not-json", f"Line {error.lineno}, column {error.colno}: {_plain(error.msg)}.") from None
    if _depth_exceeds(value, MOST_DEPTH):
        raise _too_deep()
    return value


def _plain(message: str) -> str:
    """What the parser says, without the place, which is told apart."""
    # A list that is never closed is too much for it, and it blames the memory.
    return "unexpected end" if "memory" in message else message.split(": line")[0][:120]


def _too_deep() -> Problem:
    return Problem("too-deep", f"A body may be nested {MOST_DEPTH} levels deep; a claim needs four.")


def _depth_exceeds(value: Any, most: int) -> bool:
    """Whether lists and objects are nested deeper than that; level by level, so that no stack grows."""
    level = [value]
    for _ in range(most):
        level = [v for parent in level for v in _children(parent) if isinstance(v, (dict, list))]
        if not level:
            return False
    return bool(level)


def _children(parent: Any) -> Any:
    if isinstance(parent, dict):
        return parent.values()
    return parent if isinstance(parent, list) else ()
