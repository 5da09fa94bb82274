"""Passwords and the codes that stand in for a lost phone."""

from __future__ import annotations

import hashlib
import secrets
from functools import lru_cache
from typing import TYPE_CHECKING

from fraud.errors import Fault

if TYPE_CHECKING:
    from argon2 import PasswordHasher

__all__ = ["LONGEST_PASSWORD", "digest_of", "nobodys", "password_faults", "recovery_codes", "usual_hasher"]

SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 256
RECOVERY_CODES = 10


def password_faults(password: str, name: str) -> list[Fault]:
    """Why a password will not do: length counts, and that it is neither the name nor one character many times."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        detail = f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"
        return [Fault("password", "password_length", detail)]
    if len(set(password)) < 5 or (len(name) > 2 and name.lower() in password.lower()):
        return [Fault("password", "password_weak", "the password repeats itself or holds the name: choose another")]
    return []


@lru_cache(maxsize=1)
def usual_hasher() -> PasswordHasher:
    """Argon2id with the parameters of the day."""
    from argon2 import PasswordHasher

    return PasswordHasher()


@lru_cache(maxsize=4)
def nobodys(hasher: PasswordHasher) -> str:
    """The hash of a password that nobody has, to be compared where there is nobody."""
    return hasher.hash(secrets.token_urlsafe())


def recovery_codes() -> tuple[str, ...]:
    """Codes of 50 random bits, written so that nobody confuses two characters."""
    letters = "abcdefghjkmnpqrstuvwxyz023456789"
    made = ("".join(secrets.choice(letters) for _ in range(10)) for _ in range(RECOVERY_CODES))
    return tuple(f"{code[:5]}-{code[5:]}" for code in made)


def digest_of(code: str) -> str:
    """What is kept of a code."""
    return hashlib.sha256(code.encode()).hexdigest()
