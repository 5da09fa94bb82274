"""Is everything as it should be: one line for each thing that can go wrong, and what to do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fraud.commands.console import data, print_json, progress
from fraud.commands.keys import AsJson
from fraud.config import Settings, load_settings
from fraud.errors import FraudError, NotKnownError

if TYPE_CHECKING:
    from fraud.signals.catalogue import Catalogue
    from fraud.store import Store

__all__ = ["Check", "doctor", "examined"]

State = Literal["ok", "warn", "fail"]
EXITS: dict[State, int] = {"ok": 0, "warn": 1, "fail": 2}
# A payer's change of keys takes days, not hours.
SOON = timedelta(days=14)
LITTLE, TOO_LITTLE = 5 << 30, 1 << 29
# Clocks that are set by the network differ by milliseconds.
APART, FAR_APART = timedelta(seconds=2), timedelta(seconds=60)
# An hour of attempts is an outage elsewhere, and no accident.
LATE = timedelta(hours=1)
Step = Callable[[str], None]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: how it is, and what to do when it is not well."""

    name: str
    state: State
    says: str
    advice: str = ""


def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="Leave out what reads the whole database.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at settings, database, models, ledger, keys, disk and clock; exit code 0 well, 1 warnings, 2 faults.

    \b
    fraud doctor
    fraud doctor --quick --json
    """
    with progress(quiet=as_json) as step:
        found = list(examined(quick, lambda name: step(name, 0.0)))
    worst = max((c.state for c in found), key=lambda s: EXITS[s])
    if as_json:
        print_json({"state": worst, "checks": [asdict(c) for c in found]})
    else:
        for c in found:
            data(f"{c.state:4}  {c.name:10} {c.says}" + (f"\n{'':17}→ {c.advice}" if c.advice else ""))
    raise typer.Exit(EXITS[worst])


def examined(quick: bool = False, step: Step = lambda name: None) -> Iterator[Check]:
    """Every check in turn; one that breaks is a fault of its own and ends none of the others."""
    step("settings")
    try:
        settings = load_settings()
    except FraudError as error:
        yield Check("settings", "fail", error.message, "Mend the file; nothing else can be looked at before.")
        return
    yield _settings(settings)
    yield from _guarded("TLS", lambda: _certificate(settings), step)
    yield from _guarded("disk", lambda: [_disk(settings)], step)
    yield from _guarded("database", lambda: _database(settings, quick, step), step)
    yield from _guarded("sign-in", lambda: _sign_in(settings), step)
    yield from _guarded("models", lambda: list(_models(settings)), step)


def _guarded(name: str, look: Callable[[], list[Check]], step: Step) -> list[Check]:
    step(name)
    try:
        return look()
    except FraudError as error:
        return [Check(name, "fail", error.message, "The message says what is missing.")]
    except Exception as error:
        return [Check(name, "fail", f"could not be looked at ({type(error).__name__})", "FRAUD_DEBUG=1 shows more.")]


def _settings(settings: Settings) -> Check:
    host = str(settings.service.get("host", "127.0.0.1"))
    where = str(settings.home / "fraud.toml")
    if host in ("127.0.0.1", "::1", "localhost"):
        return Check("settings", "ok", f"{where}; the service listens on this machine only")
    if settings.service.get("tls_certificate"):
        return Check("settings", "ok", f"{where}; the service listens on {host} and speaks TLS")
    advice = "Keys go over this network: let a proxy in front speak TLS, or the service (docs/security.md)."
    return Check("settings", "warn", f"{where}; the service listens on {host}", advice)


def _certificate(settings: Settings) -> list[Check]:
    """Whether TLS can be spoken, and for how long; nothing is said where the service does not."""
    from fraud.web.access.tls import tls_settings

    own = tls_settings(settings.service, settings.home)
    if own is None:
        return []
    left = own.ends - datetime.now(UTC)
    says = f"{own.certificate.name} ends {own.ends:%Y-%m-%d}"
    state: State = "fail" if left <= timedelta() else "warn" if left < SOON else "ok"
    advice = "" if state == "ok" else "Put another one in its place and start the service again (docs/security.md)."
    return [Check("TLS", state, says, advice)]


def _disk(settings: Settings) -> Check:
    places = {p for p in (settings.var, _file(settings.database_url)) if p is not None}
    free = min(shutil.disk_usage(_existing(p)).free for p in places)
    says = f"{free / (1 << 30):,.1f} GiB are free"
    if free < TOO_LITTLE:
        return Check("disk", "fail", says, "Decisions cannot be stored soon: make room now.")
    return Check("disk", "warn", says, "Make room before it runs out.") if free < LITTLE else Check("disk", "ok", says)


def _file(database_url: str) -> Path | None:
    _, is_file, path = database_url.partition("sqlite:///")
    return Path(path) if is_file else None


def _existing(path: Path) -> Path:
    return next(p for p in (path, *path.parents) if p.exists())


# --- what is in the database ------------------------------------------------------------------------------


def _database(settings: Settings, quick: bool, step: Step) -> list[Check]:
    from fraud.store import Store

    file = _file(settings.database_url)
    if file is not None and not file.exists():
        return [Check("database", "warn", f"{file} is not there yet", "Fill it: fraud load --claims DIR")]
    with Store(settings.database_url) as store:
        found = [_whole(store, file, quick)]
        for name, look in (("clock", _clock), ("keys", _keys), ("data key", _data_key)):
            found += _guarded(name, lambda look=look: [look(store, settings)], step)  # type: ignore[misc]
        if not quick:
            found += _guarded("ledger", lambda: [_ledger(store)], step)
        found += _guarded("notices", lambda: _notices(store, settings), step)
    return found


def _whole(store: Store, file: Path | None, quick: bool) -> Check:
    import sqlalchemy as sa

    from fraud.store.migrations import HEAD

    with store.database.read() as connection:
        dialect = connection.dialect.name
        said = "ok"
        if dialect == "sqlite" and not quick:
            said = str(connection.execute(sa.text("PRAGMA quick_check(1)")).scalar_one())
        if dialect == "postgresql":
            size = int(connection.execute(sa.text("SELECT pg_database_size(current_database())")).scalar_one())
        else:
            size = sum(f.stat().st_size for f in file.parent.glob(f"{file.name}*")) if file else 0
    if said != "ok":
        return Check("database", "fail", "its file is damaged", "Stop the service and restore the last backup.")
    return Check("database", "ok", f"{dialect}, revision {HEAD}, {size / (1 << 20):,.1f} MiB")


def _clock(store: Store, settings: Settings) -> Check:
    """Our clock beside that of the database server, or beside the last thing that the ledger heard."""
    import sqlalchemy as sa

    from fraud.store import Ledger

    now = datetime.now(UTC)
    with store.database.read() as connection:
        if connection.dialect.name == "postgresql":
            apart = abs(now - connection.execute(sa.text("SELECT clock_timestamp()")).scalar_one())
        else:
            last = Ledger(store.database).entries(most=1)
            apart = max(datetime.fromisoformat(last[0].at) - now, timedelta(0)) if last else timedelta(0)
    says = f"{now:%Y-%m-%d %H:%M:%S} UTC, {apart.total_seconds():.1f} s from what the database knows"
    if apart > FAR_APART:
        return Check("clock", "fail", says, "Set the clock (NTP): histories and deadlines depend on it.")
    return Check("clock", "warn" if apart > APART else "ok", says, "Set the clock (NTP)." if apart > APART else "")


def _keys(store: Store, settings: Settings) -> Check:
    from fraud.store import Keys

    now = datetime.now(UTC)
    every = Keys(store.database).all()
    valid = [k for k in every if k.state(now) == "valid"]
    if not every and settings.service.get("keys") != "required":
        return Check("keys", "warn", "there is none: the machine itself is open", "Make one: fraud keys add")
    stopped = [f"{k.name} ({k.key_id}): {k.suspended_for}" for k in every if k.state(now) == "suspended"]
    if stopped:
        do = "Look into it: fraud ledger show --by ID; fraud keys resume ID"
        return Check("keys", "warn" if valid else "fail", f"suspended: {'; '.join(stopped[:5])}", do)
    if not valid:
        return Check("keys", "fail", "no key is valid: nobody can call", "Make one: fraud keys add")
    # A key that was replaced is meant to end.
    names = {k.name for k in valid if k.expires_at - now > SOON}
    ending = [f"{k.name} ({k.key_id}) on {k.expires_at:%Y-%m-%d}" for k in valid if k.name not in names]
    says = f"{len(valid)} valid"
    if ending:
        return Check("keys", "warn", f"{says}; ending soon: {', '.join(ending[:5])}", "Rotate: fraud keys rotate ID")
    return Check("keys", "ok", says)


def _data_key(store: Store, settings: Settings) -> Check:
    from fraud.store.sealing import check_sample, key_of

    check_sample(store.database)
    found = key_of(store.database)
    return Check("data key", "ok", f"sealed with {found}" if found else "no data key: the database is stored as it is")


def _ledger(store: Store) -> Check:
    from fraud.commands.ledger import told
    from fraud.store import Ledger

    found = Ledger(store.database).verify()
    if not found.holds:
        advice = "Keep the database as it is, and find out who could write to it."
        return Check("ledger", "fail", f"the chain is broken: {told(found.breaks)}", advice)
    return Check("ledger", "ok", f"the chain of {found.entries:,} entries holds")


def _notices(store: Store, settings: Settings) -> list[Check]:
    """What is to be sent and what could not be; nothing is said where nobody is told anything."""
    from fraud.store.outbox import Outbox

    found = Outbox(store.database).state()
    on = bool(settings.notices.get("webhook") or settings.notices.get("smtp"))
    says = f"{found.waiting} wait, {len(found.given_up)} were given up"
    if found.given_up:
        last = [f"{w.case_id} by {w.way} ({w.fault})" for w in found.given_up[:5]]
        do = "Mend [notices] or what it names, then: fraud notices --again; or --forget"
        return [Check("notices", "warn", f"{says}: {', '.join(last)}", do)]
    late = found.since is not None and datetime.now(UTC) - found.since > LATE
    if late:
        do = (
            "Is the service running? It sends them; its log says what keeps them."
            if on
            else "Nothing sends them: [notices]"
        )
        return [Check("notices", "warn", f"{says}, the oldest since {found.since:%Y-%m-%d %H:%M} UTC", do)]
    return [Check("notices", "ok", says)] if on or found.waiting else []


def _sign_in(settings: Settings) -> list[Check]:
    """Whether the provider answers at which people sign in; nothing is said where they do not."""
    from fraud.web.access.oidc import Provider
    from fraud.web.access.oidc_settings import oidc_settings

    own = oidc_settings(settings.oidc, os.environ)
    if own is None:
        return []
    keys = Provider(own, own.address, lambda: datetime.now(UTC)).check()
    return [Check("sign-in", "ok", f"{own.issuer} answers; signing keys: {keys}")]


# --- models -----------------------------------------------------------------------------------------------


def _models(settings: Settings) -> Iterator[Check]:
    from fraud.signals.catalogue import load_catalogue

    catalogue = load_catalogue(settings.features)
    names = [str(v) for k, v in settings.service.items() if k.endswith("_model") and v]
    if (file := _file(settings.tracking_uri)) is not None and not file.exists():
        advice = "Train one: fraud train MODEL --claims DIR"
        yield Check("models", "warn", "no model was ever registered: the rules alone answer", advice)
        return
    for name in names:
        yield from _guarded(f"{name}", lambda name=name: [_model(name, settings, catalogue)], lambda _: None)  # type: ignore[misc]


def _model(name: str, settings: Settings, catalogue: Catalogue) -> Check:
    from fraud.learning import load_model

    try:
        found = load_model(name, "champion", settings.tracking_uri, catalogue)
    except NotKnownError:
        advice = f"Train and promote one: fraud train {name} --claims DIR"
        return Check("models", "warn", f"{name}: no champion is registered", advice)
    return Check("models", "ok", f"{name}: version {found.version}, fitted on this catalogue")
