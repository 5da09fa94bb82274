"""What the tests of access share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

# What depends on the engine is proved on both.
EVERYWHERE = pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, time: timedelta) -> None:
        """Let time pass."""
        self.now += time


class Ticks:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def bearer(secret: str, **headers: str) -> dict[str, str]:
    """Headers with a key."""
    return {"Authorization": f"Bearer {secret}", **{k.replace("_", "-"): v for k, v in headers.items()}}
