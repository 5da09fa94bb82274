"""Which key a database is sealed with, and sealing it anew with another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.errors import SpecError
from fraud.store.ciphers import KEY_FILE, Cipher, SealedBytes, SealedText, give
from fraud.store.database import Database
from fraud.store.ledger import Event, Ledger, installation
from fraud.store.tables import METADATA

__all__ = ["attach", "check_sample", "key_of", "reseal", "sealed_columns"]

_NAME = "data_key"
_CHUNK = 2_000
# Table and how many of its rows are done.
Progress = Callable[[str, int], None]
_Row = Mapping[str, Any]


def sealed_columns() -> dict[sa.Table, list[sa.Column[Any]]]:
    """The columns that name a person, by table."""
    found = {t: [c for c in t.c if isinstance(c.type, (SealedText, SealedBytes))] for t in METADATA.sorted_tables}
    return {table: columns for table, columns in found.items() if columns}


def key_of(database: Database) -> str | None:
    """Algorithm and id of the key that the database is sealed with; None when it is not."""
    with database.read() as connection:
        return _key_of(connection)


def attach(database: Database, cipher: Cipher | None) -> None:
    """Let the database seal and open with the cipher; raises `SpecError` when it is not the database's own.

    A database that holds nothing of anybody yet takes the key that it is opened with for good.
    """
    known = key_of(database)
    if known is None and cipher is not None:
        database.transact(lambda connection: _take(connection, cipher))
    elif known != (cipher.name if cipher else None):
        raise SpecError(_mismatch(str(known), cipher))
    give(cipher, database.reading, database.writing, database.patient)


def _take(connection: Connection, cipher: Cipher) -> None:
    if _key_of(connection) == cipher.name:
        # Somebody else who starts at the same time was first.
        return
    for table in sealed_columns():
        if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is not None:
            raise SpecError(
                f"The database was filled without a data key and would be read with key {cipher.key_id}. Unset the "
                f"key, stop the service, and seal what is there: `fraud keys data rotate --to FILE`."
            )
    _remember(connection, cipher)


def _mismatch(known: str, cipher: Cipher | None) -> str:
    needed = f"The database is sealed with the data key {known}"
    if cipher is None:
        return f"{needed}, and no key is given. Set {KEY_FILE} to the file that holds it."
    return f"{needed}, and {cipher.name} is given. Set {KEY_FILE} to the file that holds the first."


def _key_of(connection: Connection) -> str | None:
    query = sa.select(installation.c.value).where(installation.c.name == _NAME)
    found = connection.execute(query).scalar_one_or_none()
    return bytes(found).decode() if found is not None else None


def _remember(connection: Connection, cipher: Cipher | None) -> None:
    connection.execute(sa.delete(installation).where(installation.c.name == _NAME))
    if cipher is not None:
        connection.execute(sa.insert(installation), {"name": _NAME, "value": cipher.name.encode()})


# --- another key ------------------------------------------------------------------------------------------


def reseal(
    database: Database,
    old: Cipher | None,
    new: Cipher | None,
    by: str,
    progress: Progress = lambda table, done: None,
) -> dict[str, int]:
    """Seal everything with another key, or for the first time (`old` None), or no more (`new` None).

    Rows by table. All in one transaction: it is done or it is not. Processes that have the database open must end
    first, since they go on with the old key.
    """
    with database.write_patiently() as connection:
        if _key_of(connection) != (old.name if old else None):
            raise SpecError(_mismatch(str(_key_of(connection)), old))
        done = {str(t.name): _reseal_table(connection, t, c, old, new, progress) for t, c in sealed_columns().items()}
        _remember(connection, new)
        details = {"from": old.name if old else None, "to": new.name if new else None, "rows": done}
        Ledger(database).add_in(connection, Event("data_key.rotated", by, details=details))
    return done


def _reseal_table(
    connection: Connection,
    table: sa.Table,
    columns: Sequence[sa.Column[Any]],
    old: Cipher | None,
    new: Cipher | None,
    progress: Progress,
) -> int:
    sealed = [c.name for c in columns]
    own = set(sealed) & {c.name for c in table.primary_key}
    chunks = _by_value(connection, table, own.pop()) if own else _by_row(connection, table, sealed)
    address = next(chunks)
    update = _update(table, sealed, address)
    done = 0
    for rows in chunks:
        connection.execute(update, [_changed(r, columns, address, old, new) for r in rows])
        done += len(rows)
        progress(table.name, done)
    return done


def _changed(
    row: _Row, columns: Sequence[sa.Column[Any]], address: str, old: Cipher | None, new: Cipher | None
) -> dict[str, Any]:
    return {"address": row[address], **{f"new_{c.name}": _again(row[c.name], c, old, new) for c in columns}}


def _again(value: Any, column: sa.Column[Any], old: Cipher | None, new: Cipher | None) -> Any:
    if value is None:
        return None
    if isinstance(column.type, SealedText):
        text = old.text(value) if old else value
        return new.token(text) if new else text
    plain = old.open(bytes(value)) if old else bytes(value)
    return new.seal(plain) if new else plain


def _update(table: sa.Table, sealed: Sequence[str], address: str) -> sa.TextClause:
    sets = ", ".join(f'"{name}" = :new_{name}' for name in sealed)
    where = "ctid = CAST(:address AS tid)" if address == "ctid" else f'"{address}" = :address'
    return sa.text(f'UPDATE "{table.name}" SET {sets} WHERE {where}')


def _by_value(connection: Connection, table: sa.Table, column: str) -> Iterator[Any]:
    """First the column's name, then its different values in chunks: a key is its own address."""
    yield column
    found = connection.execute(sa.text(f'SELECT DISTINCT "{column}" FROM "{table.name}"')).mappings().all()
    for start in range(0, len(found), _CHUNK):
        yield found[start : start + _CHUNK]


def _by_row(connection: Connection, table: sa.Table, sealed: Sequence[str]) -> Iterator[Any]:
    """First what rows are addressed by, then the rows in chunks."""
    address = _address(connection, table)
    yield address
    names = ", ".join(f'"{name}"' for name in sealed)
    selected = f'SELECT {_quoted(address)}, {names} FROM "{table.name}"'
    if address == "ctid":
        # Addresses move when rows are written: all are read before the first one is.
        found = connection.execute(sa.text(selected)).mappings().all()
        yield from (found[start : start + _CHUNK] for start in range(0, len(found), _CHUNK))
        return
    after: Any = None
    while True:
        later = "" if after is None else f"WHERE {_quoted(address)} > :after"
        page = sa.text(f"{selected} {later} ORDER BY {_quoted(address)} LIMIT {_CHUNK}")
        rows = connection.execute(page, {} if after is None else {"after": after}).mappings().all()
        if not rows:
            return
        yield rows
        after = rows[-1][address]


def _quoted(address: str) -> str:
    return address if address in ("rowid", "ctid") else f'"{address}"'


def _address(connection: Connection, table: sa.Table) -> str:
    key = list(table.primary_key)
    if len(key) == 1:
        return str(key[0].name)
    return "rowid" if connection.dialect.name == "sqlite" else "ctid"


def check_sample(database: Database) -> None:
    """Return when stored identifiers can be opened with the key in force; raises `UnreadableError`."""
    for table, columns in sealed_columns().items():
        with database.read() as connection:
            connection.execute(sa.select(*columns).select_from(table).limit(3)).all()
