"""Lines of the log: JSON for machines, text for people, and in neither anything that names a person.

`FRAUD_LOG` is `json` or `text` (a terminal gets text, anything else JSON), `FRAUD_LOG_REQUESTS=1` adds a line for
every request; one that ended in a fault of ours has a line always. Bodies, addresses and keys never come in, and of
an error that is not one of ours only its type and where it arose: its text may quote a claim. On a machine without
real claims `FRAUD_DEBUG=1` adds the text.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from threading import Lock
from time import monotonic
from typing import Any

import orjson

from fraud.errors import FraudError, SpecError

__all__ = ["JsonLines", "TextLines", "begin", "clean", "end", "line_settings"]

FORM, REQUESTS, DETAILS = "FRAUD_LOG", "FRAUD_LOG_REQUESTS", "FRAUD_DEBUG"
# What a line may carry beside its message: nothing else that code passes as `extra` gets in.
FIELDS = ("request_id", "call", "status", "ms", "model", "left_out")
_MOST_FRAMES = 12
_requests = logging.getLogger("fraud.requests")


# --- settings ---------------------------------------------------------------------------------------------


def line_settings(environ: Mapping[str, str] | None = None, is_terminal: bool | None = None) -> dict[str, Any]:
    """Settings for `logging.config.dictConfig`; raises `SpecError` for a form that there is not."""
    env = os.environ if environ is None else environ
    terminal = sys.stderr.isatty() if is_terminal is None else is_terminal
    form = env.get(FORM) or ("text" if terminal else "json")
    if form not in _FORMS:
        raise SpecError(f'{FORM} is one of {", ".join(_FORMS)}, not "{form}".')
    lines = {"()": _FORMS[form], "details": env.get(DETAILS, "") not in ("", "0")}
    every = env.get(REQUESTS, "") not in ("", "0")
    levels = {"fraud": "INFO", "fraud.requests": "INFO" if every else "ERROR", "bentoml": "INFO"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": lines},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines", "stream": "ext://sys.stderr"}},
        # Named, so that what the server set for them is undone: their lines too come from the one handler.
        "loggers": {n: {"level": levels.get(n, "WARNING"), "handlers": [], "propagate": True} for n in _NAMED},
        "root": {"level": "WARNING", "handlers": ["stderr"]},
    }


_NAMED = ("fraud", "fraud.requests", "bentoml", "uvicorn", "uvicorn.error", "circus")


# --- requests ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _About:
    request_id: str
    call: str


_about: ContextVar[_About | None] = ContextVar("about", default=None)


def begin(request_id: str, call: str) -> None:
    """Lines from here on, in this request and the threads that it starts, say which request they are about."""
    _about.set(_About(request_id, call))


def end(status: int, seconds: float, model: str) -> None:
    """Write the request's line when it ended in a fault of ours, or when every request has one."""
    faulty = status >= 500
    if not faulty and not _requests.isEnabledFor(logging.INFO):
        return
    left_out = _sparse.left_out(status) if faulty else 0
    if left_out is None:
        return
    said = {"status": status, "ms": round(seconds * 1e3, 1), "model": model}
    said |= {"left_out": left_out} if left_out else {}
    _requests.log(logging.ERROR if faulty else logging.INFO, "request", extra=said)


@dataclass
class _Sparse:
    """Who sheds thousands of requests a second must not fill the disk with saying so: one line a second."""

    _last: dict[int, tuple[float, int]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def left_out(self, status: int) -> int | None:
        """Lines of this status left out since the last one; None when this one is to be left out too."""
        if status == 500:
            return 0
        now = monotonic()
        with self._lock:
            at, count = self._last.get(status, (-inf, 0))
            silent = now - at < 1
            self._last[status] = (at, count + 1) if silent else (now, 0)
            return None if silent else count


_sparse = _Sparse()


# --- lines ------------------------------------------------------------------------------------------------

_HIDDEN = (
    # Names of kinds stay, names of records go.
    (re.compile(r"(/v1/(?:claims|decisions|patients|providers|physicians|cases)/)(?!score)[^/\s\"'?]+"), r"\1*"),
    (re.compile(r"(fraud_[0-9a-f]{8})_[\w-]{16,}"), r"\1_*"),
    (re.compile(r"(?i)(bearer )\S+"), r"\1*"),
    # The password within the address of a database.
    (re.compile(r"(://[^:/\s@]+):[^@\s/]+@"), r"\1:*@"),
)


def clean(text: str) -> str:
    """The text without keys, passwords and the ids within addresses."""
    for pattern, instead in _HIDDEN:
        text = pattern.sub(instead, text)
    return text


class JsonLines(logging.Formatter):
    """Each record as one JSON object on one line."""

    def __init__(self, details: bool = False) -> None:
        super().__init__()
        self.details = details

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return orjson.dumps(_told(record, self.details), default=str).decode()


class TextLines(JsonLines):
    """The same for people who look on."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and under it where an error arose."""
        told = _told(record, self.details)
        error = told.pop("error", None)
        head = f"{told.pop('time')} {told.pop('level'):<7} {told.pop('logger')}: {told.pop('message')}"
        rest = " ".join(f"{k}={v}" for k, v in told.items() if k != "pid")
        lines = [f"{head} {rest}".rstrip().replace("\n", "\\n")]
        if error:
            lines.append(": ".join(filter(None, (error["type"], error.get("says")))))
            lines += (f"  {where}" for where in error["at"])
        return "\n    ".join(lines)


_FORMS = {"json": JsonLines, "text": TextLines}


def _told(record: logging.LogRecord, details: bool) -> dict[str, Any]:
    about = _about.get()
    told: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname,
        "logger": record.name,
        "message": clean(record.getMessage()).strip(),
        "pid": record.process,
    }
    if about is not None:
        told |= {"request_id": about.request_id, "call": about.call}
    told |= {name: record.__dict__[name] for name in FIELDS if name in record.__dict__}
    error = record.exc_info[1] if record.exc_info else None
    return told | ({"error": _error(error, details)} if error is not None else {})


def _error(error: BaseException, details: bool) -> dict[str, Any]:
    """The error's type and where it arose; its text only when it is one of ours, or asked for."""
    told: dict[str, Any] = {"type": type(error).__qualname__, "at": _frames(error)}
    says = error.message if isinstance(error, FraudError) else str(error) if details else ""
    if isinstance(error, OSError) and error.strerror:
        says = error.strerror
    if says:
        told["says"] = clean(says)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return told | ({"cause": type(cause).__qualname__} if cause is not None else {})


def _frames(error: BaseException) -> list[str]:
    """File, line and function of the innermost frames, the outermost first."""
    found = traceback.extract_tb(error.__traceback__)[-_MOST_FRAMES:]
    return [f"{'/'.join(f.filename.split('/')[-3:])}:{f.lineno} {f.name}" for f in found]
