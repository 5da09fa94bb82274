"""References: identifiers of persons in addresses, readable by this service alone."""

from __future__ import annotations

import base64
import secrets
from functools import cached_property
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fraud.store.database import Database
from fraud.store.ledger import installation

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV
    from sqlalchemy.engine import Connection

__all__ = ["References"]

_NAME = "page_references"
_BYTES = 64


class References:
    """Seals identifiers with a key of the database; the same one always gives the same reference.

    Browsers keep addresses, proxies log them: none of them is to hold who a page was about.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def seal(self, value: str) -> str:
        """The reference of an identifier."""
        return base64.urlsafe_b64encode(self._cipher.encrypt(value.encode(), None)).decode().rstrip("=")

    def open(self, reference: str) -> str | None:
        """The identifier; None for what is no reference of this service."""
        from cryptography.exceptions import InvalidTag

        try:
            sealed = base64.urlsafe_b64decode(reference + "=" * (-len(reference) % 4))
            return self._cipher.decrypt(sealed, None).decode()
        except (ValueError, InvalidTag):
            return None

    @cached_property
    def _cipher(self) -> AESSIV:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        return AESSIV(self._database.transact(_own_key))


def _own_key(connection: Connection) -> bytes:
    query = sa.select(installation.c.value).where(installation.c.name == _NAME)
    found = connection.execute(query).scalar_one_or_none()
    if found is None:
        found = secrets.token_bytes(_BYTES)
        connection.execute(sa.insert(installation), {"name": _NAME, "value": found})
    return bytes(found)
