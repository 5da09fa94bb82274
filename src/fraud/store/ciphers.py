"""Encryption at rest of what names a person: AES-256-GCM or SM4-GCM, off unless there is a key.

Records such as stored requests are sealed with a nonce of their own. Identifiers that are looked up become tokens:
their nonce is made from the identifier with a keyed hash, so that the same identifier always gives the same token
and histories are found by the same indexes as without encryption. See `docs/decisions/0027-encryption-at-rest.md`.

Columns say by their type that they are sealed; the cipher of a database hangs on its engines.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from fraud.errors import FraudError, SpecError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

__all__ = ["KEY", "KEY_FILE", "Cipher", "SealedBytes", "SealedText", "UnreadableError", "cipher_from", "give"]

KEY, KEY_FILE = "FRAUD_DATA_KEY", "FRAUD_DATA_KEY_FILE"
Algorithm = Literal["aes", "sm4"]
# 256 bits in hexadecimal, and before it the algorithm.
_FORM = re.compile(r"(?:(aes|sm4):)?([0-9a-fA-F]{64})")
_NONCE, _TAG = 12, 16
# What is sealed begins with the form (1) and the key's id, so that whose key is needed can be told.
_VERSION = b"\x01"
_HEAD = 1 + 4
_REMEMBERED = 1 << 16


class UnreadableError(FraudError):
    """What is stored cannot be opened with the key in force."""


class Cipher:
    """Seals and opens with one key; safe to use from many threads.

    `key_id` names the key and does not give it away.
    """

    def __init__(self, secret: bytes, algorithm: Algorithm = "aes") -> None:
        if algorithm not in get_args(Algorithm) or len(secret) != 32:
            raise SpecError("A data key has 32 bytes, and its algorithm is aes or sm4.")
        self.algorithm = algorithm
        self.key_id = _derived(secret, algorithm, "id", 4).hex()
        self._mac_key = _derived(secret, algorithm, "token nonce", 32)
        self._encrypt, self._decrypt = _gcm(algorithm, _derived(secret, algorithm, "gcm", 32))
        self._head = _VERSION + bytes.fromhex(self.key_id)
        self._mark = f"~{self.key_id}~"
        # The same patients and accounts come again and again.
        self.token = lru_cache(_REMEMBERED)(self._token)
        self.text = lru_cache(_REMEMBERED)(self._text)

    def __repr__(self) -> str:
        return f"Cipher({self.algorithm}, key {self.key_id})"

    @property
    def name(self) -> str:
        """Algorithm and key, as the database remembers them."""
        return f"{self.algorithm}:{self.key_id}"

    def seal(self, plain: bytes) -> bytes:
        """The bytes sealed; the same bytes never look the same twice."""
        nonce = secrets.token_bytes(_NONCE)
        return self._head + nonce + self._encrypt(nonce, plain, self._head)

    def open(self, sealed: bytes) -> bytes:
        """The bytes that were sealed; raises `UnreadableError`."""
        if not sealed.startswith(self._head):
            raise UnreadableError(f"A stored record was not sealed with key {self.key_id}. {_ADVICE}")
        nonce = sealed[_HEAD : _HEAD + _NONCE]
        return self._opened(nonce, sealed[_HEAD + _NONCE :])

    def _token(self, text: str) -> str:
        plain = text.encode()
        # Equal nonces only for equal texts: what makes GCM unsafe, two texts under one nonce, does not happen.
        nonce = _mac(self.algorithm, self._mac_key, plain)[:_NONCE]
        sealed = nonce + self._encrypt(nonce, plain, self._head)
        return self._mark + base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def _text(self, token: str) -> str:
        if not token.startswith(self._mark):
            raise UnreadableError(f"A stored identifier was not sealed with key {self.key_id}. {_ADVICE}")
        body = token[len(self._mark) :]
        try:
            sealed = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        except ValueError:
            raise UnreadableError(f"A stored identifier was changed. {_ADVICE}") from None
        return self._opened(sealed[:_NONCE], sealed[_NONCE:]).decode()

    def _opened(self, nonce: bytes, sealed: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            return self._decrypt(nonce, sealed, self._head)
        except (InvalidTag, ValueError):
            raise UnreadableError(
                f"Something stored was changed after key {self.key_id} sealed it. {_ADVICE}"
            ) from None


_ADVICE = "`fraud doctor` says which key the database needs."


def cipher_from(environ: Mapping[str, str]) -> Cipher | None:
    """The cipher of the environment; None without a key. Raises `SpecError` that repeats nothing of the key."""
    given, file = environ.get(KEY), environ.get(KEY_FILE)
    if given and file:
        raise SpecError(f"{KEY} and {KEY_FILE} are both set. Keep one: the file, where there is a choice.")
    if file:
        return read_cipher(Path(file))
    return _parsed(given, KEY) if given else None


def read_cipher(path: Path) -> Cipher:
    """The cipher of a key file."""
    try:
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: the data key cannot be read ({type(error).__name__}).") from None
    return _parsed(text, str(path))


def _parsed(text: str, where: str) -> Cipher:
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise SpecError(
            f"{where}: a data key is 64 hexadecimal digits, with sm4: before them for SM4. "
            "Make one with `openssl rand -hex 32`."
        )
    algorithm: Algorithm = "sm4" if found[1] == "sm4" else "aes"
    return Cipher(bytes.fromhex(found[2]), algorithm)


# --- primitives -------------------------------------------------------------------------------------------

_Gcm = Callable[[bytes, bytes, bytes], bytes]


def _gcm(algorithm: Algorithm, key: bytes) -> tuple[_Gcm, _Gcm]:
    """What encrypts and what decrypts, given nonce, text and what is bound to it."""
    if algorithm == "aes":
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        aes = AESGCM(key)
        return aes.encrypt, aes.decrypt
    return _sm4(key[:16])


def _sm4(key: bytes) -> tuple[_Gcm, _Gcm]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.ciphers import Cipher as Primitive
    from cryptography.hazmat.primitives.ciphers import algorithms, modes

    def encrypt(nonce: bytes, plain: bytes, bound: bytes) -> bytes:
        at_work = Primitive(algorithms.SM4(key), modes.GCM(nonce)).encryptor()
        at_work.authenticate_additional_data(bound)
        return at_work.update(plain) + at_work.finalize() + at_work.tag

    def decrypt(nonce: bytes, sealed: bytes, bound: bytes) -> bytes:
        at_work = Primitive(algorithms.SM4(key), modes.GCM(nonce, sealed[-_TAG:])).decryptor()
        at_work.authenticate_additional_data(bound)
        return at_work.update(sealed[:-_TAG]) + at_work.finalize()

    try:
        encrypt(bytes(_NONCE), b"", b"")
    except UnsupportedAlgorithm:
        raise SpecError("This machine's OpenSSL has no SM4 in GCM. Use an AES key, or another build.") from None
    return encrypt, decrypt


def _hash(algorithm: Algorithm) -> HashAlgorithm:
    from cryptography.hazmat.primitives import hashes

    return hashes.SM3() if algorithm == "sm4" else hashes.SHA256()


def _mac(algorithm: Algorithm, key: bytes, text: bytes) -> bytes:
    if algorithm == "aes":
        return hmac.digest(key, text, "sha256")
    from cryptography.hazmat.primitives.hmac import HMAC

    at_work = HMAC(key, _hash(algorithm))
    at_work.update(text)
    return at_work.finalize()


def _derived(secret: bytes, algorithm: Algorithm, use: str, length: int) -> bytes:
    """A key for one use alone (HKDF)."""
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(_hash(algorithm), length, None, f"fraud {algorithm} {use}".encode()).derive(secret)


# --- columns ----------------------------------------------------------------------------------------------


def give(cipher: Cipher | None, *engines: Engine) -> None:
    """Let these engines seal and open with the cipher; before they are first used."""
    for engine in engines:
        engine.dialect.fraud_cipher = cipher  # type: ignore[attr-defined]


def _cipher_of(dialect: sa.Dialect) -> Cipher | None:
    found: Cipher | None = getattr(dialect, "fraud_cipher", None)
    return found


class _Sealed(sa.types.TypeDecorator[Any]):
    """A column that is sealed where its database has a cipher; without one it costs nothing."""

    cache_ok = True

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[Any], Any] | None:
        """How a value becomes what is stored."""
        cipher, plain = _cipher_of(dialect), self.impl_instance.bind_processor(dialect)
        if cipher is None:
            return plain
        seal = self._seals(cipher)
        if plain is None:
            return lambda value: None if value is None else seal(value)
        return lambda value: None if value is None else plain(seal(value))

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any] | None:
        """How what is stored becomes a value."""
        cipher, plain = _cipher_of(dialect), self.impl_instance.result_processor(dialect, coltype)
        if cipher is None:
            return plain
        opens = self._opens(cipher)
        if plain is None:
            return lambda value: None if value is None else opens(value)
        return lambda value: None if value is None else opens(plain(value))

    def _seals(self, cipher: Cipher) -> Callable[[Any], Any]:
        raise NotImplementedError

    def _opens(self, cipher: Cipher) -> Callable[[Any], Any]:
        raise NotImplementedError


class SealedText(_Sealed):
    """An identifier by which rows are found: equal values stay equal, and nothing else is left of them."""

    impl = sa.Text
    cache_ok = True

    def _seals(self, cipher: Cipher) -> Callable[[Any], Any]:
        return cipher.token

    def _opens(self, cipher: Cipher) -> Callable[[Any], Any]:
        return cipher.text


class SealedBytes(_Sealed):
    """A record as a whole."""

    impl = sa.LargeBinary
    cache_ok = True

    def _seals(self, cipher: Cipher) -> Callable[[Any], Any]:
        return cipher.seal

    def _opens(self, cipher: Cipher) -> Callable[[Any], Any]:
        return lambda value: cipher.open(bytes(value))
