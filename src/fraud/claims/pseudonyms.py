"""Keyed pseudonyms: HMAC-SHA256 of an identifier, computed inside DuckDB over whole columns.

The same value gives the same pseudonym in every table and import made with the same key, so that joins
still work; without the key nobody can recompute one. The key itself is never written anywhere.
"""

from __future__ import annotations

import hashlib
import hmac
import re

import duckdb

from fraud.errors import ClaimsError

__all__ = [
    "KEY_SETTING",
    "PERSONAL",
    "fingerprint",
    "install",
    "looks_personal",
    "mask",
    "pseudonym",
]

KEY_SETTING = "FRAUD_PSEUDONYM_KEY"
SHORTEST_KEY = 16
PREFIX = "p_"
# 96 bits: among a billion people the chance of one collision is below 1e-11.
DIGITS = 24
BLOCK = 64

# Columns whose values always name a person; with a key they are always replaced.
PERSONAL: dict[str, tuple[str, ...]] = {
    "claims": ("patient_id", "payee_account", "invoice_no", "operator_id"),
    "patients": ("patient_id",),
    "physicians": ("patient_id",),
}
# Numbers that machines give out: they may have as many digits as a telephone number by chance.
MACHINE_NUMBERS = frozenset({"claim_id", "trace_code", "terminal_id", "item_code", "entity"})

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
_CARD = re.compile(r"[1-9]\d{5}(18|19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d{3}[\dXx]")
_PHONE = re.compile(r"(\+?86[- ]?)?1[3-9]\d{9}")
_INSIDE = re.compile(r"(?<!\d)(?:\d{17}[\dXx]|1[3-9]\d{9})(?!\d)")


def pseudonym(value: str, key: bytes) -> str:
    """The pseudonym of one value; the same as the SQL macro gives.

    >>> pseudonym("a", b"0123456789abcdef")
    'p_2ae4aa1f3b09d5a4fd1fa5a0'
    """
    return PREFIX + hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:DIGITS]


def fingerprint(key: bytes | None) -> str | None:
    """A public mark of the key: tells two keys apart and gives neither away."""
    return hmac.new(key, b"fingerprint", hashlib.sha256).hexdigest()[:12] if key else None


def looks_personal(value: str) -> bool:
    """Whether the value is an ID-card number with a valid check digit, or a mobile number.

    >>> looks_personal("11010519491231002X"), looks_personal("110105194912310021")
    (True, False)
    """
    if _PHONE.fullmatch(value):
        return True
    if not _CARD.fullmatch(value):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(value, _WEIGHTS, strict=False))
    return _CHECK[total % 11] == value[17].upper()


def mask(text: str) -> str:
    """The text without anything in it that has the form of an ID-card or mobile number.

    >>> mask("call 13800138000")
    'call [masked]'
    """
    return _INSIDE.sub("[masked]", text)


def install(connection: duckdb.DuckDBPyConnection, key: bytes | None) -> None:
    """Give the connection `pseudonym(x)`, `looks_personal(x)`, `looks_like_card(x)` and `mask(x)`.

    Raises `ClaimsError` when the key is shorter than 16 bytes.
    """
    _check(key)
    padded = _padded(key or b"")
    # As variables, never as literals: an error message of the engine may quote the query.
    connection.execute("SET VARIABLE inner_pad = ?::BLOB", [bytes(byte ^ 0x36 for byte in padded)])
    connection.execute("SET VARIABLE outer_pad = ?::BLOB", [bytes(byte ^ 0x5C for byte in padded)])
    for macro in _macros():
        connection.execute(f"CREATE OR REPLACE MACRO {macro}")


def _check(key: bytes | None) -> None:
    if key is not None and len(key) < SHORTEST_KEY:
        raise ClaimsError(
            f"The key for pseudonyms has {len(key)} bytes; at least {SHORTEST_KEY} are needed, or it can be "
            f"guessed. Make one with `openssl rand -hex 32` and set {KEY_SETTING}."
        )


def _padded(key: bytes) -> bytes:
    return (hashlib.sha256(key).digest() if len(key) > BLOCK else key).ljust(BLOCK, b"\0")


def _macros() -> tuple[str, ...]:
    # TRY: the engine may compute the sum for texts that the condition before it rules out.
    total = " + ".join(f"TRY_CAST(x[{place}] AS INT) * {weight}" for place, weight in enumerate(_WEIGHTS, 1))
    # A value that already is a pseudonym stays: a folder of ours can be imported again.
    return (
        f"""pseudonym(x) AS CASE WHEN regexp_full_match(x, '{PREFIX}[0-9a-f]{{{DIGITS}}}') THEN x
            ELSE '{PREFIX}' || left(sha256(getvariable('outer_pad')
                || unhex(sha256(getvariable('inner_pad') || encode(x)))), {DIGITS}) END""",
        f"""looks_like_card(x) AS CASE WHEN length(x) = 18 AND regexp_full_match(x, '{_CARD.pattern}')
            THEN coalesce('{_CHECK}'[({total}) % 11 + 1] = upper(x[18]), false) ELSE false END""",
        f"""looks_personal(x) AS looks_like_card(x)
            OR (length(x) BETWEEN 11 AND 16 AND regexp_full_match(x, '{_PHONE.pattern}'))""",
        r"""mask(x) AS regexp_replace(x, '(^|[^0-9])([0-9]{17}[0-9Xx]|1[3-9][0-9]{9})($|[^0-9])',
            '\1[masked]\3', 'g')""",
    )
