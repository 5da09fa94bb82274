"""What the pages work with beside the runtime: people, sessions, tips, references, settings."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fraud.config import Settings, load_settings
from fraud.errors import SpecError
from fraud.store.identities import Identities
from fraud.store.keys import Keys
from fraud.store.people import People
from fraud.store.sessions import Sessions
from fraud.store.tips import Tips
from fraud.web.access.oidc import Provider
from fraud.web.access.oidc_settings import OidcSettings, oidc_settings
from fraud.web.pages.frame.references import References

if TYPE_CHECKING:
    from fraud.web.running.runtime import Runtime

__all__ = ["BACK", "PERSONS_PER_HOUR", "Desk", "desk_of"]

# Where the provider of sign-ins sends browsers back to: it has to know this address.
BACK = "/workbench/sign-in/elsewhere/back"
# Records of persons that somebody opens in an hour before it is unusual; a busy reviewer reads thirty.
PERSONS_PER_HOUR = 300
_NUMBERS = {
    "persons_per_hour": (PERSONS_PER_HOUR, 1, 100_000),
    "idle_minutes": (30, 1, 240),
    "most_hours": (10, 1, 24),
    "tip_days": (60, 1, 366),
}


class Desk:
    """Everything of the workbench that outlives a visit."""

    def __init__(self, runtime: Runtime, settings: Settings | None = None) -> None:
        self.runtime, self.guard = runtime, runtime.guard
        self._settings = settings
        clock, database = runtime.guard.clock, runtime.store.database
        self.people, self.keys = People(database, clock), Keys(database, clock)
        self.references = References(database)

    @cached_property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._settings or load_settings()

    def number(self, name: str) -> float:
        """A figure of `[workbench]`; raises `SpecError` for one that cannot be."""
        usual, least, most = _NUMBERS[name]
        value: Any = self.settings.workbench.get(name, usual)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
            raise SpecError(f"fraud.toml: [workbench] {name} is a number from {least:,} to {most:,}, not {value!r}.")
        return float(value)

    @cached_property
    def sessions(self) -> Sessions:
        """Who is signed in where."""
        idle, most = timedelta(minutes=self.number("idle_minutes")), timedelta(hours=self.number("most_hours"))
        return Sessions(self.runtime.store.database, self.guard.clock, idle=idle, most=most)

    @cached_property
    def oidc(self) -> OidcSettings | None:
        """Where people sign in elsewhere; None where they do not."""
        return oidc_settings(self.settings.oidc, os.environ)

    @cached_property
    def provider(self) -> Provider | None:
        """The provider of sign-ins, with what is known of it."""
        return Provider(self.oidc, self.oidc.address + BACK, self.guard.clock) if self.oidc is not None else None

    @cached_property
    def identities(self) -> Identities:
        """Who signs in elsewhere."""
        return Identities(self.runtime.store.database, self.guard.clock, self.people)

    @cached_property
    def tips(self) -> Tips:
        """What people brought."""
        return Tips(self.runtime.store.database, self.guard.clock, int(self.number("tip_days")))


def desk_of(runtime: Runtime) -> Desk:
    """The desk of a runtime, made when the first page is opened."""
    # Kept by the runtime itself, so that both end together; of two threads that come first one is heard.
    kept = vars(runtime)
    found: Desk = kept.get("desk") or kept.setdefault("desk", Desk(runtime))
    return found
