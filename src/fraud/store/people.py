"""People who sign in to the workbench: role, bounds, password, second factor, and what happens after wrong guesses.

Passwords are kept as Argon2id, recovery codes as SHA-256 (they are random), the secret of the second factor sealed
with the database's data key where there is one. No method says which part of a sign-in was wrong.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.errors import Fault, InputError, NotKnownError
from fraud.store.ciphers import SealedBytes
from fraud.store.database import Database
from fraud.store.guesses import Guesses, RefusedError
from fraud.store.keys import ROLES, Scope
from fraud.store.ledger import Event, Ledger, moment_text
from fraud.store.passwords import (
    LONGEST_PASSWORD,
    digest_of,
    nobodys,
    password_faults,
    recovery_codes,
    usual_hasher,
)
from fraud.store.tables import METADATA

if TYPE_CHECKING:
    from argon2 import PasswordHasher

__all__ = [
    "LANGUAGES", "MOST_NAME", "PEOPLE_ROLES", "People", "Person", "faults_of", "people",
]  # fmt: skip

# Systems have keys; people do not sign in as one.
PEOPLE_ROLES = tuple(role for role in ROLES if role != "claims-system")
LANGUAGES = ("en", "zh")
MOST_NAME = 64
_STEP_SECONDS = 30
people = sa.Table(
    "people",
    METADATA,
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, index=True, unique=True),
    sa.Column("display_name", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("regions", sa.JSON, nullable=False),
    sa.Column("providers", sa.JSON, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("password", sa.Text, nullable=False),
    sa.Column("must_change", sa.Boolean, nullable=False),
    # The secret of the second factor, in force once `totp_since` is set; `totp_step` is the last one that was used.
    sa.Column("totp", SealedBytes),
    sa.Column("totp_since", sa.Text),
    sa.Column("totp_step", sa.BigInteger, nullable=False),
    sa.Column("recovery", sa.JSON, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("disabled_at", sa.Text),
    sa.Column("suspended_at", sa.Text),
    # Of who signs in elsewhere (`fraud.store.identities`): the provider, and what it calls the person.
    sa.Column("issuer", sa.Text),
    sa.Column("subject", sa.Text),
    sa.Index("ux_people_subject", "issuer", "subject", unique=True),
)


@dataclass(frozen=True)
class Person:
    """What is on file about somebody who signs in; nothing that opens a door. Times are UTC."""

    user_id: str
    name: str
    display_name: str
    role: str
    language: str
    created_at: datetime
    scope: Scope = field(default_factory=Scope)
    must_change: bool = True
    enrolled: bool = False
    recovery_left: int = 0
    disabled_at: datetime | None = None
    suspended_at: datetime | None = None
    issuer: str | None = None

    @property
    def ready(self) -> bool:
        """Whether the person chose a password, unless it is elsewhere, and has a second factor."""
        return self.enrolled and not self.must_change

    @property
    def state(self) -> str:
        """`disabled`, `suspended`, `new` (before the first sign-in is complete) or `active`."""
        if self.disabled_at is not None:
            return "disabled"
        if self.suspended_at is not None:
            return "suspended"
        return "active" if self.ready or self.issuer is not None else "new"

    @property
    def who(self) -> str:
        """How the ledger calls the person."""
        return f"user:{self.user_id}"

    def as_dict(self) -> dict[str, Any]:
        """The person for programs."""
        return {
            "user_id": self.user_id,
            "name": self.name,
            "display_name": self.display_name,
            "role": self.role,
            "regions": list(self.scope.regions),
            "providers": list(self.scope.providers),
            "language": self.language,
            "state": self.state,
            "created_at": self.created_at,
            "issuer": self.issuer,
        }


def faults_of(name: str, role: str, language: str, display_name: str = "") -> list[Fault]:
    """Everything that is wrong with what is to be on file about a person."""
    found = []
    if not (0 < len(name) <= MOST_NAME and all(c.isalnum() or c in "._-@" for c in name)):
        found.append(Fault("name", "bad_name", "a name has 1 to 64 letters, digits or . _ - @"))
    if len(display_name) > MOST_NAME or not display_name.isprintable():
        found.append(Fault("display_name", "bad_display_name", "a name to show has at most 64 characters"))
    if role not in PEOPLE_ROLES:
        found.append(Fault("role", "bad_role", f"a role is one of {', '.join(PEOPLE_ROLES)}"))
    if language not in LANGUAGES:
        found.append(Fault("language", "bad_language", f"a language is one of {', '.join(LANGUAGES)}"))
    return found


def _taken(connection: Connection, name: str, display_name: str, user_id: str = "") -> list[Fault]:
    """Names that somebody else has: in a list nobody could tell the two apart."""
    query = sa.select(people.c.name, people.c.display_name).where(people.c.user_id != user_id)
    others = connection.execute(query).all()
    found = []
    if any(own == name for own, _ in others):
        found.append(Fault("name", "name_taken", f'somebody is named "{name}" already'))
    if any(shown.casefold() == display_name.casefold() for _, shown in others):
        detail = f'somebody is shown as "{display_name}" already: add what tells the two apart'
        found.append(Fault("display_name", "display_name_taken", detail))
    return found


def _raise(what: str, faults: Sequence[Fault]) -> None:
    if faults:
        raise InputError(f"{what}: " + "; ".join(f.detail for f in faults[:5]) + ".", faults)


def _now() -> datetime:
    return datetime.now(UTC)


class People:
    """The people of one database. Each change is an entry of the ledger in the same transaction; `by` says whose."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime] = _now, hasher: PasswordHasher | None = None
    ) -> None:
        self._database, self._clock = database, clock
        self._ledger = Ledger(database, clock)
        self._guesses, self._given = Guesses(database, clock), hasher

    @property
    def _hash(self) -> PasswordHasher:
        return self._given or usual_hasher()

    # --- who there is -------------------------------------------------------------------------------------

    def all(self) -> tuple[Person, ...]:
        """Everybody who was ever added, by name."""
        with self._database.read() as connection:
            return tuple(_person(r) for r in connection.execute(sa.select(people).order_by(people.c.name)).mappings())

    def any(self) -> bool:
        """Whether anybody was ever added."""
        with self._database.read() as connection:
            return connection.execute(sa.select(people.c.user_id).limit(1)).first() is not None

    def get(self, user_id: str) -> Person:
        """One person; raises `NotKnownError`."""
        return _person(self._row(people.c.user_id == user_id))

    def named(self, name: str) -> Person:
        """The person with a name; raises `NotKnownError`."""
        return _person(self._row(people.c.name == name.strip().lower()))

    def _row(self, own: sa.ColumnElement[bool]) -> sa.RowMapping:
        with self._database.read() as connection:
            found = connection.execute(sa.select(people).where(own)).mappings().first()
        if found is None:
            raise NotKnownError("There is nobody of this name. `fraud users list` shows everybody.")
        return found

    # --- changes by an administrator ----------------------------------------------------------------------

    def add(
        self,
        name: str,
        role: str,
        by: str,
        *,
        display_name: str = "",
        regions: Sequence[str] = (),
        providers: Sequence[str] = (),
        language: str = "en",
        password: str | None = None,
    ) -> tuple[Person, str]:
        """A new person and the password of the first sign-in, which must be changed there."""
        name = name.strip().lower()
        first = password if password is not None else secrets.token_urlsafe(12)
        faults = [*faults_of(name, role, language, display_name), *password_faults(first, name)]
        _raise("The user was not added", faults)
        row: dict[str, Any] = {
            "user_id": secrets.token_hex(4),
            "name": name,
            "display_name": display_name.strip() or name,
            "role": role,
            "regions": list(regions),
            "providers": list(providers),
            "language": language,
            "password": self._hash.hash(first),
            "must_change": True,
            "totp_step": 0,
            "recovery": [],
            "created_at": moment_text(self._clock()),
        }
        told = {k: row[k] for k in ("user_id", "name", "role", "regions", "providers")}
        with self._database.write() as connection:
            _raise("The user was not added", _taken(connection, name, row["display_name"]))
            connection.execute(sa.insert(people), row)
            self._ledger.add_in(connection, Event("user.added", by, details=told))
        return self.get(row["user_id"]), first

    def change(
        self, user_id: str, by: str, *, display_name: str, role: str, regions: Sequence[str], providers: Sequence[str]
    ) -> Person:
        """The person with another role, bounds or name to show."""
        from fraud.store.casework import whose  # which needs our table

        known = self.get(user_id)
        _raise("The user was not changed", faults_of(known.name, role, known.language, display_name))
        values: dict[str, Any] = {
            "display_name": display_name.strip() or known.name,
            "role": role,
            "regions": list(regions),
            "providers": list(providers),
        }
        told = {"user_id": user_id, "before": known.role, **{k: values[k] for k in ("role", "regions", "providers")}}
        with self._database.write() as connection:
            if known.role == "admin" and role != "admin":
                self._keep_an_admin(connection, user_id)
            _raise("The user was not changed", _taken(connection, "", values["display_name"], user_id))
            self._update(connection, user_id, **values)
            whose.renamed(connection, user_id, values["display_name"])
            self._ledger.add_in(connection, Event("user.changed", by, details=told))
        return self.get(user_id)

    def disable(self, user_id: str, by: str, reason: str = "") -> Person:
        """The person, who cannot sign in any more; who did what stays in the ledger."""
        with self._database.write() as connection:
            self._keep_an_admin(connection, user_id)
            self._update(connection, user_id, disabled_at=moment_text(self._clock()))
            self._tell(connection, "user.disabled", by, user_id, reason)
        return self.get(user_id)

    def enable(self, user_id: str, by: str) -> Person:
        """The person, who may sign in again."""
        with self._database.write() as connection:
            self._update(connection, user_id, disabled_at=None)
            self._tell(connection, "user.enabled", by, user_id)
        return self.get(user_id)

    def reset(self, user_id: str, by: str, password: str | None = None) -> str:
        """A password for a new first sign-in, with another second factor; an empty one for who signs in elsewhere."""
        known, first = self.get(user_id), password if password is not None else secrets.token_urlsafe(12)
        own: dict[str, Any] = {}
        if known.issuer is None:
            _raise("The password was not reset", password_faults(first, known.name))
            own = {"password": self._hash.hash(first), "must_change": True}
        with self._database.write() as connection:
            self._update(connection, user_id, **own, totp=None, totp_since=None, totp_step=0, recovery=[])
            self._guesses.forget(connection, known.name)
            self._tell(connection, "user.reset", by, user_id)
        return first if own else ""

    def unlock(self, user_id: str, by: str) -> Person:
        """The person, whose wrong guesses and suspension are lifted."""
        name = self.get(user_id).name
        with self._database.write() as connection:
            self._guesses.forget(connection, name)
            self._update(connection, user_id, suspended_at=None)
            self._tell(connection, "user.unlocked", by, user_id)
        return self.get(user_id)

    def suspend(self, user_id: str, details: dict[str, Any]) -> None:
        """Keep a person out until somebody looked into what was unusual."""
        with self._database.write() as connection:
            self._update(connection, user_id, suspended_at=moment_text(self._clock()))
            self._ledger.add_in(connection, Event("session.suspended", f"user:{user_id}", details=details))

    def locked_until(self, person: Person) -> datetime | None:
        """Until when wrong guesses keep the person out; None when nothing does."""
        return self._guesses.locked_until(person.name)

    def _keep_an_admin(self, connection: Connection, leaves: str) -> None:
        """Refuse what would leave nobody who can add people."""
        others = sa.select(people.c.user_id).where(
            people.c.role == "admin", people.c.disabled_at.is_(None), people.c.user_id != leaves
        )
        is_admin = sa.select(people.c.role).where(people.c.user_id == leaves)
        if connection.execute(is_admin).scalar() == "admin" and connection.execute(others).first() is None:
            _raise("Nothing was changed", [Fault("role", "last_admin", "this is the last administrator")])

    def _update(self, connection: Connection, user_id: str, **values: Any) -> None:
        connection.execute(sa.update(people).where(people.c.user_id == user_id).values(**values))

    def _tell(self, connection: Connection, what: str, by: str, user_id: str, reason: str = "") -> None:
        self._ledger.add_in(connection, Event(what, by, purpose=reason or None, details={"user_id": user_id}))

    # --- what people change themselves --------------------------------------------------------------------

    def speak(self, user_id: str, language: str) -> None:
        """Set the language of somebody's pages."""
        if language in LANGUAGES:
            with self._database.write() as connection:
                self._update(connection, user_id, language=language)

    def change_password(self, user_id: str, old: str, new: str) -> None:
        """Replace a password; raises `InputError` with what is wrong with either."""
        row = self._row(people.c.user_id == user_id)
        faults = password_faults(new, row["name"])
        if not self._fits(row["password"], old):
            faults.insert(0, Fault("old", "password_wrong", "the present password is another one"))
        elif old == new:
            faults.append(Fault("password", "password_same", "the new password is the old one"))
        _raise("The password was not changed", faults)
        with self._database.write() as connection:
            self._update(connection, user_id, password=self._hash.hash(new), must_change=False)
            self._tell(connection, "user.password_changed", f"user:{user_id}", user_id)

    def enrolment(self, user_id: str) -> str:
        """The secret of a second factor that is being set up; the same until it is confirmed."""
        import pyotp

        def work(connection: Connection) -> str:
            own = sa.select(people.c.totp, people.c.totp_since).where(people.c.user_id == user_id)
            known = connection.execute(own).one()
            if known.totp_since is not None:
                raise InputError("The second factor is set up already; an administrator can reset it.")
            if known.totp is not None:
                return bytes(known.totp).decode()
            secret = pyotp.random_base32()
            self._update(connection, user_id, totp=secret.encode(), totp_since=None, totp_step=0)
            return secret

        return self._database.transact(work)

    def enrol(self, user_id: str, code: str) -> tuple[str, ...]:
        """Recovery codes, to be shown this once, when the code proves that the second factor works."""
        row = self._row(people.c.user_id == user_id)
        # Here nobody counts guesses: one that is in force is proved by `prove`.
        step = self._step(row, code) if row["totp_since"] is None else None
        if step is None:
            _raise("The second factor was not set up", [Fault("code", "code_wrong", "the code does not fit")])
        codes = recovery_codes()
        with self._database.write() as connection:
            since = moment_text(self._clock())
            self._update(connection, user_id, totp_since=since, totp_step=step, recovery=[digest_of(c) for c in codes])
            self._tell(connection, "user.enrolled", f"user:{user_id}", user_id)
        return codes

    def recover(self, user_id: str) -> tuple[str, ...]:
        """New recovery codes, to be shown this once; the old ones open nothing any more."""
        codes = recovery_codes()
        with self._database.write() as connection:
            self._update(connection, user_id, recovery=[digest_of(c) for c in codes])
            self._tell(connection, "user.recovery_renewed", f"user:{user_id}", user_id)
        return codes

    # --- signing in ---------------------------------------------------------------------------------------

    def sign_in(self, name: str, password: str, code: str, address: str) -> Person:
        """The person whom name, password and code belong to; raises `RefusedError`, which never says which was wrong.

        A guess is counted before it is looked at, so that many at once are no way around the limit.
        """
        name = name.strip().lower()
        self._guesses.count(name, address)
        row = self._known(name)
        # For a name that is not there, or has no password here, the same work is done: the time does not tell.
        fits = self._fits((row["password"] if row is not None else "") or nobodys(self._hash), password)
        factor = self._factor(row, code)
        if row is None or factor is None or not fits or row["disabled_at"] or not self._used(row["user_id"], factor):
            raise self._refused(row, address)
        if row["suspended_at"] is not None:
            raise RefusedError("suspended")
        self._welcome(row, password, address)
        return self.get(row["user_id"])

    def prove(self, user_id: str, code: str, address: str) -> None:
        """Return when a code is the person's second factor, as `sign_in` asks for it; raises `RefusedError`."""
        row = self._row(people.c.user_id == user_id)
        self._guesses.count(row["name"], address)
        factor = self._factor(row, code)
        if row["totp_since"] is None or factor is None or not self._used(user_id, factor):
            raise self._refused(row, address)
        with self._database.write() as connection:
            self._guesses.forget(connection, row["name"], address)

    def _known(self, name: str) -> sa.RowMapping | None:
        with self._database.read() as connection:
            return connection.execute(sa.select(people).where(people.c.name == name)).mappings().first()

    def _refused(self, row: sa.RowMapping | None, address: str) -> RefusedError:
        who = f"user:{row['user_id']}" if row is not None else "nobody"
        self._ledger.add(Event("session.refused", who, details={"address": address}))
        return RefusedError("refused")

    def _welcome(self, row: sa.RowMapping, password: str, address: str) -> None:
        with self._database.write() as connection:
            self._guesses.forget(connection, row["name"], address)
            if self._hash.check_needs_rehash(row["password"]):
                self._update(connection, row["user_id"], password=self._hash.hash(password))

    def _fits(self, hashed: str, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return bool(self._hash.verify(hashed, password[:LONGEST_PASSWORD]))
        except (VerificationError, InvalidHashError):
            return False

    def _factor(self, row: sa.RowMapping | None, code: str) -> int | str | None:
        """What a code stands for: a step of time, or a recovery code's digest; -1 before there is a second factor."""
        if row is None:
            return None
        if row["totp_since"] is None:
            return -1
        digest = digest_of(code.strip().lower())
        return digest if digest in row["recovery"] else self._step(row, code)

    def _used(self, user_id: str, factor: int | str) -> bool:
        """Whether a code could be used: each opens once, also when two come with it at the same time."""
        own = people.c.user_id == user_id

        def work(connection: Connection) -> bool:
            if isinstance(factor, int):
                later = sa.update(people).where(own, people.c.totp_step < factor).values(totp_step=factor)
                return factor < 0 or bool(connection.execute(later).rowcount)
            known = list(connection.execute(sa.select(people.c.recovery).where(own).with_for_update()).scalar_one())
            self._update(connection, user_id, recovery=[k for k in known if k != factor])
            return factor in known

        return self._database.transact(work)

    def _step(self, row: sa.RowMapping, code: str) -> int | None:
        """The step of time that a code belongs to, one before and one after included; None for another code."""
        import pyotp

        given = "".join(code.split())
        if row["totp"] is None or not (given.isascii() and given.isdigit()):
            return None
        now = int(self._clock().timestamp()) // _STEP_SECONDS
        totp = pyotp.TOTP(bytes(row["totp"]).decode())
        for step in (now, now - 1, now + 1):
            if secrets.compare_digest(totp.generate_otp(step), given):
                return step
        return None


def _person(row: sa.RowMapping) -> Person:
    return Person(
        user_id=row["user_id"],
        name=row["name"],
        display_name=row["display_name"],
        role=row["role"],
        language=row["language"],
        created_at=datetime.fromisoformat(row["created_at"]),
        scope=Scope(tuple(row["regions"]), tuple(row["providers"])),
        must_change=bool(row["must_change"]),
        enrolled=row["totp_since"] is not None,
        recovery_left=len(row["recovery"]),
        disabled_at=_moment(row["disabled_at"]),
        suspended_at=_moment(row["suspended_at"]),
        issuer=row["issuer"],
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
