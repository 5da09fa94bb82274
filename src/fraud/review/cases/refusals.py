"""What a case refuses: a step that its state does not allow, a person who may not sign, a change that came late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from fraud.errors import InputError

__all__ = ["CaseRefusedError", "Why"]

# `state`: not from here; `person`: another person must; `role`: not in this role; `changed`: somebody else was first;
# `time`: too early or too late.
Why = Literal["state", "person", "role", "changed", "time"]


class CaseRefusedError(InputError):
    """The case stays as it is. `why` is for programs; `allowed` are the steps that can be taken from here."""

    def __init__(self, why: Why, message: str, allowed: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.why = why
        self.allowed = tuple(allowed)
