"""Every error that the product raises on purpose.

    FraudError
    ├── InputError        the caller's data or arguments are at fault (exit 1, HTTP 4xx)
    │   ├── ClaimsError       a claims folder or a source file cannot be used
    │   ├── SpecError         a model spec, mapping or settings file is wrong
    │   └── NotKnownError     an id, model or signal that does not exist
    ├── CatalogueError    a signal breaks the contract, or lock and definitions disagree (exit 3)
    └── GateError         a check that guards a promotion did not hold (exit 3)

A message says what, where, found, expected and what to do next, in at most 500 characters, and
carries no personal identifier. `faults` holds every fault at once, so that nobody mends them one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches

__all__ = [
    "CatalogueError",
    "ClaimsError",
    "Fault",
    "FraudError",
    "GateError",
    "InputError",
    "NotKnownError",
    "SpecError",
    "nearest",
]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in an input.

    `where` is a JSON pointer for a request ("/lines/3/amount"), or "file:column" for a file.
    `code` is stable and meant for programs; `detail` is meant for people.
    """

    where: str
    code: str
    detail: str
    count: int = 1
    examples: Sequence[str] = field(default_factory=tuple)

    def as_dict(self) -> dict[str, object]:
        """The fault as plain JSON types."""
        return asdict(self) | {"examples": list(self.examples)}


class FraudError(Exception):
    """Base of all errors of this package; `exit_code` is what the command line ends with."""

    exit_code = 1

    def __init__(self, message: str, faults: Iterable[Fault] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.faults = tuple(faults)


class InputError(FraudError):
    """The caller's data or arguments are at fault."""


class ClaimsError(InputError):
    """A claims folder or a source file cannot be used."""


class SpecError(InputError):
    """A model spec, mapping or settings file is wrong."""


class NotKnownError(InputError):
    """An id, model or signal that does not exist."""


class CatalogueError(FraudError):
    """A signal breaks the contract, or the lock and the definitions disagree."""

    exit_code = 3


class GateError(FraudError):
    """A check that guards a promotion did not hold."""

    exit_code = 3


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known name, or an empty string.

    >>> nearest("amout", ["amount", "quantity"])
    '; did you mean "amount"?'
    """
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""
