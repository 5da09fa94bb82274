"""TLS of the service itself, for where no proxy stands before it: a certificate, its key, and who may come at all."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fraud.errors import Fault, SpecError

__all__ = ["Tls", "tls_settings"]

# Key exchanges that stay secret when the key is stolen later, and ciphers that notice a change; for TLS 1.2, which
# OpenSSL's own choice would do without them. Older versions are refused, 1.3 has no others.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_CERTIFICATE, _KEY, _CLIENT_CA = "tls_certificate", "tls_key", "tls_client_ca"


@dataclass(frozen=True)
class Tls:
    """PEM files: the chain that begins with the service's certificate, and its key.

    With `client_ca`, only clients with a certificate that one of these authorities signed are let in.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    @property
    def arguments(self) -> dict[str, str]:
        """What BentoML's worker is told."""
        told = {"--ssl-certfile": str(self.certificate), "--ssl-keyfile": str(self.key), "--ssl-ciphers": _CIPHERS}
        if self.client_ca is None:
            return told
        return {**told, "--ssl-ca-certs": str(self.client_ca), "--ssl-cert-reqs": str(int(ssl.CERT_REQUIRED))}

    @property
    def ends(self) -> datetime:
        """When the certificate ends, in UTC."""
        from cryptography.x509 import load_pem_x509_certificate

        return load_pem_x509_certificate(self.certificate.read_bytes()).not_valid_after_utc


def tls_settings(service: Mapping[str, Any], home: Path) -> Tls | None:
    """What `[service]` says of TLS, with files looked for from `home`; None where it names no certificate.

    Raises:
        SpecError: names every file that is not there or is not what it should be.
    """
    named = {name: str(service[name]) for name in (_CERTIFICATE, _KEY, _CLIENT_CA) if service.get(name)}
    if not named:
        return None
    files = {name: home / path for name, path in named.items()}
    if faults := list(_faults(files)):
        said = "; ".join(f"{f.where}: {f.detail}" for f in faults)
        raise SpecError(f"fraud.toml: TLS cannot be spoken: {said}", faults)
    return Tls(files[_CERTIFICATE], files[_KEY], files.get(_CLIENT_CA))


def _faults(files: Mapping[str, Path]) -> Iterator[Fault]:
    missing = [name for name in (_CERTIFICATE, _KEY) if name not in files]
    yield from (
        Fault(f"/service/{name}", "missing", "a certificate and its key are needed together") for name in missing
    )
    absent = [name for name, path in files.items() if not path.is_file()]
    yield from (Fault(f"/service/{name}", "value", f"{files[name]} is no file") for name in absent)
    if not missing and not {_CERTIFICATE, _KEY} & set(absent):
        yield from _unusable(files[_CERTIFICATE], files[_KEY])
    if _CLIENT_CA in files and _CLIENT_CA not in absent:
        yield from _no_authority(files[_CLIENT_CA])


def _unusable(certificate: Path, key: Path) -> Iterator[Fault]:
    try:
        # Nobody is there to be asked for a password when the service starts.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, lambda: "")
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        detail = f"{certificate.name} and {key.name} are no certificate and its key, in PEM without a password ({why})"
        yield Fault(f"/service/{_CERTIFICATE}", "value", detail)


def _no_authority(path: Path) -> Iterator[Fault]:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except OSError:
        yield Fault(f"/service/{_CLIENT_CA}", "value", f"{path.name} holds no certificate of an authority, in PEM")
