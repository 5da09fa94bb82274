"""People who sign in elsewhere: which account belongs to whom at a provider, and answers that were used.

An account is found by issuer and subject, never by a name or an address of mail: nothing that a provider says can open
an account that was made here.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.errors import Fault, InputError
from fraud.store.casework.whose import renamed
from fraud.store.database import Database
from fraud.store.guesses import RefusedError
from fraud.store.ledger import Event, Ledger, moment_text
from fraud.store.people import MOST_NAME, People, Person, people
from fraud.store.tables import METADATA

__all__ = ["Identities", "Stated", "spent"]

# Answers of providers that were used, by hash, until they would be too old anyway.
spent = sa.Table(
    "spent_sign_ins",
    METADATA,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("until", sa.Text, nullable=False),
)


@dataclass(frozen=True)
class Stated:
    """What a provider states of somebody, and what that makes of them here."""

    issuer: str
    subject: str
    name: str
    display_name: str
    role: str
    regions: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    language: str = "en"

    @property
    def who(self) -> str:
        """How the ledger calls the provider, on whose word a person is added or changed."""
        return f"provider:{self.issuer}"

    @property
    def mark(self) -> str:
        """What tells this person's names from the same names of others."""
        return hashlib.sha256(f"{self.issuer}\0{self.subject}".encode()).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC)


class Identities:
    """The people of one database who sign in elsewhere. Each change is an entry of the ledger."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = _now, known: People | None = None) -> None:
        self._database, self._clock = database, clock
        self._ledger, self._people = Ledger(database, clock), known or People(database, clock)

    def spend(self, state: str, until: datetime) -> bool:
        """Whether an answer is used for the first time; from then on it is not."""
        digest = hashlib.sha256(state.encode()).hexdigest()

        def work(connection: Connection) -> bool:
            connection.execute(sa.delete(spent).where(spent.c.until < moment_text(self._clock())))
            if connection.execute(sa.select(spent.c.digest).where(spent.c.digest == digest)).first() is not None:
                return False
            connection.execute(sa.insert(spent), {"digest": digest, "until": moment_text(until)})
            return True

        return self._database.transact(work)

    def find(self, issuer: str, subject: str) -> Person | None:
        """The person whom a provider calls so; None for nobody."""
        with self._database.read() as connection:
            own = people.c.issuer == issuer, people.c.subject == subject
            found = connection.execute(sa.select(people.c.user_id).where(*own)).scalar_one_or_none()
        return self._people.get(found) if found is not None else None

    def admit(self, stated: Stated) -> Person:
        """The person of whom this is stated: added at the first sign-in, with role and bounds as stated from then on.

        Raises `RefusedError` for one who is disabled or suspended here, whatever the provider says.
        """
        user_id = self._database.transact(lambda connection: self._written(connection, stated))
        found = self._people.get(user_id)
        if found.disabled_at is not None or found.suspended_at is not None:
            raise RefusedError("disabled" if found.disabled_at is not None else "suspended")
        return found

    def link(self, user_id: str, issuer: str, subject: str, by: str) -> Person:
        """The person, who signs in elsewhere from now on and has no password here; raises `InputError`."""
        known = self._people.get(user_id)
        if known.issuer is not None or self.find(issuer, subject) is not None:
            fault = Fault("subject", "linked", "the account, or what the provider calls it, is linked already")
            raise InputError(f"Nothing was linked: {fault.detail}.", [fault])
        values = {"issuer": issuer, "subject": subject, "password": "", "must_change": False}
        return self._changed(user_id, "user.linked", by, values, {"issuer": issuer})

    def unlink(self, user_id: str, by: str) -> tuple[Person, str]:
        """The person, who signs in here from now on, and the password of the first sign-in; raises `InputError`."""
        if (known := self._people.get(user_id)).issuer is None:
            raise InputError("This person signs in here already. `fraud users reset` makes another password.")
        found = self._changed(user_id, "user.unlinked", by, {"issuer": None, "subject": None}, {"issuer": known.issuer})
        first = self._people.reset(user_id, by)
        return replace(found, must_change=True), first

    def _changed(self, user_id: str, what: str, by: str, values: dict[str, Any], told: dict[str, Any]) -> Person:
        with self._database.write() as connection:
            connection.execute(sa.update(people).where(people.c.user_id == user_id).values(values))
            self._ledger.add_in(connection, Event(what, by, details={"user_id": user_id, **told}))
        return self._people.get(user_id)

    def _written(self, connection: Connection, stated: Stated) -> str:
        own = people.c.issuer == stated.issuer, people.c.subject == stated.subject
        known = connection.execute(sa.select(people).where(*own).with_for_update()).mappings().first()
        user_id = known["user_id"] if known is not None else secrets.token_hex(4)
        values: dict[str, Any] = {
            "display_name": _free(connection, people.c.display_name, _shown(stated), stated, user_id),
            "role": stated.role,
            "regions": list(stated.regions),
            "providers": list(stated.providers),
        }
        if known is None:
            self._add(connection, user_id, values, stated)
        elif changed := {k: v for k, v in values.items() if v != known[k]}:
            connection.execute(sa.update(people).where(*own).values(changed))
            renamed(connection, user_id, values["display_name"])
            self._tell(connection, "user.changed", user_id, stated, {"before": known["role"]})
        return user_id

    def _add(self, connection: Connection, user_id: str, values: dict[str, Any], stated: Stated) -> None:
        row = {
            **values,
            "user_id": user_id,
            "name": _free(connection, people.c.name, _name(stated), stated, user_id),
            "language": stated.language,
            # No password fits an empty hash.
            "password": "",
            "must_change": False,
            "totp_step": 0,
            "recovery": [],
            "created_at": moment_text(self._clock()),
            "issuer": stated.issuer,
            "subject": stated.subject,
        }
        connection.execute(sa.insert(people), row)
        self._tell(connection, "user.added", user_id, stated, {"name": row["name"]})

    def _tell(self, connection: Connection, what: str, user_id: str, stated: Stated, more: dict[str, Any]) -> None:
        told = {"user_id": user_id, "role": stated.role, "regions": stated.regions, "providers": stated.providers}
        self._ledger.add_in(connection, Event(what, stated.who, details={**told, **more}))


def _name(stated: Stated) -> str:
    """A name to be known by here, out of what the provider calls the person."""
    kept = "".join(c if c.isalnum() or c in "._-@" else "-" for c in stated.name.strip().lower())
    return kept[:MOST_NAME] or f"user-{stated.mark[:6]}"


def _shown(stated: Stated) -> str:
    kept = "".join(c for c in stated.display_name if c.isprintable()).strip()
    return kept[:MOST_NAME] or _name(stated)


def _free(connection: Connection, column: sa.Column[str], name: str, stated: Stated, user_id: str) -> str:
    """The name, with a mark at its end where somebody else has it."""
    query = sa.select(column).where(people.c.user_id != user_id)
    taken = {n.casefold() for n in connection.execute(query).scalars()}
    marks = ("", *(f"-{stated.mark[:length]}" for length in (6, 12, 24)))
    names = (f"{name[: MOST_NAME - len(mark)]}{mark}" for mark in marks)
    return next(n for n in names if n.casefold() not in taken)
