"""TLS of the service itself: certificates of its own making, a real service, real handshakes."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fraud.commands.doctor import Check, examined
from fraud.config import Settings, load_settings
from fraud.errors import SpecError
from fraud.web.access.tls import tls_settings
from tests.web.client import body
from tests.web.room import write_room
from tests.web.test_served import HOST, Server, free_port

NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Signed:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def write(self, folder: Path, name: str, password: bytes | None = None) -> tuple[Path, Path]:
        form = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        files = folder / f"{name}.pem", folder / f"{name}.key"
        files[0].write_bytes(self.certificate.public_bytes(pem))
        files[1].write_bytes(self.key.private_bytes(pem, pkcs8, form))
        return files


def signed(name: str, by: Signed | None = None, days: float = 30) -> Signed:
    """A certificate of that name for this machine, signed by an authority or by itself."""
    key, own = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder(
            issuer_name=by.certificate.subject if by else own,
            subject_name=own,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=NOW - timedelta(days=1),
            not_valid_after=NOW + timedelta(days=days),
        )
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    )
    return Signed(made.sign(by.key if by else key, hashes.SHA256()), key)


@pytest.fixture(scope="module")
def authority() -> Signed:
    return signed("authority")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, authority: Signed) -> Path:
    """Certificates of the authority, the service and a claim system."""
    made = tmp_path_factory.mktemp("certificates")
    for name in ("service", "claims-system"):
        signed(name, authority).write(made, name)
    authority.write(made, "authority")
    return made


def given(folder: Path, *names: str) -> dict[str, str]:
    return dict(zip(("tls_certificate", "tls_key", "tls_client_ca"), (str(folder / n) for n in names), strict=False))


# --- settings ---------------------------------------------------------------------------------------------


def test_without_a_certificate_no_tls_is_spoken(tmp_path: Path) -> None:
    assert tls_settings({"port": 3000, "tls_certificate": ""}, tmp_path) is None


def test_files_are_looked_for_from_home(folder: Path) -> None:
    found = tls_settings({"tls_certificate": "service.pem", "tls_key": "service.key"}, folder)
    assert found is not None
    assert (found.certificate, found.client_ca) == (folder / "service.pem", None)


@pytest.mark.parametrize(
    ("service", "where"),
    [
        ({"tls_certificate": "service.pem"}, ["/service/tls_key"]),
        ({"tls_client_ca": "nowhere.pem"}, ["/service/tls_certificate", "/service/tls_key", "/service/tls_client_ca"]),
        ({"tls_certificate": "service.pem", "tls_key": "nowhere.key"}, ["/service/tls_key"]),
        ({"tls_certificate": "service.pem", "tls_key": "authority.key"}, ["/service/tls_certificate"]),
        ({"tls_certificate": "service.pem", "tls_key": "sealed.key"}, ["/service/tls_certificate"]),
        (
            {"tls_certificate": "service.key", "tls_key": "service.pem", "tls_client_ca": "service.key"},
            ["/service/tls_certificate", "/service/tls_client_ca"],
        ),
    ],
    ids=["no key", "only who may come", "no such key", "another's key", "a key with a password", "the wrong way round"],
)
def test_what_cannot_be_used_is_named_all_at_once(
    folder: Path, authority: Signed, service: dict[str, str], where: list[str]
) -> None:
    signed("sealed", authority).write(folder, "sealed", password=b"secret")
    with pytest.raises(SpecError, match="TLS cannot be spoken") as caught:
        tls_settings(service, folder)
    assert [f.where for f in caught.value.faults] == where


@pytest.mark.parametrize(("days", "state"), [(30, "ok"), (3, "warn"), (-0.5, "fail")])
def test_the_doctor_says_when_the_certificate_ends(
    tmp_path: Path, authority: Signed, monkeypatch: pytest.MonkeyPatch, days: float, state: str
) -> None:
    home = write_room(tmp_path / "home")
    signed("service", authority, days).write(home, "service")
    _speaks_tls(home, given(home, "service.pem", "service.key"))
    monkeypatch.setenv("FRAUD_HOME", str(home))
    (found,) = (c for c in examined(quick=True) if c.name == "TLS")
    assert found == Check("TLS", state, found.says, found.advice)  # type: ignore[arg-type]
    assert f"{NOW + timedelta(days=days):%Y-%m-%d}" in found.says


def _speaks_tls(home: Path, files: dict[str, str]) -> None:
    text = (home / "fraud.toml").read_text("utf-8")
    lines = "".join(f'{name} = "{path}"\n' for name, path in files.items())
    parts = text.split("[service]\n")
    home.joinpath("fraud.toml").write_text(
        f"{parts[0]}[service]\n{lines}{parts[1]}" if len(parts) == 2 else f"{text}\n[service]\n{lines}", "utf-8"
    )


# --- a service --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Settings:
    home = write_room(tmp_path_factory.mktemp("home"))
    _speaks_tls(home, given(folder, "service.pem", "service.key", "authority.pem"))
    return load_settings({"FRAUD_HOME": str(home)})


def context(folder: Path, name: str | None = "claims-system") -> ssl.SSLContext:
    """What a caller trusts, and the certificate that it shows."""
    made = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    if name is not None:
        made.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return made


@pytest.fixture(scope="module")
def server(settings: Settings, folder: Path) -> Iterator[Server]:
    port = free_port()
    client = httpx.Client(base_url=f"https://{HOST}:{port}", verify=context(folder), timeout=30)
    started = Server(settings, port=port, client=client)
    yield started
    started.kill()


@pytest.mark.requirement("001-39")
def test_who_shows_a_certificate_of_the_authority_is_answered(server: Server) -> None:
    answer = server.client.post("/v1/claims/score", json=body("sealed on the way"))
    assert (answer.status_code, answer.json()["claim_id"]) == (200, "sealed on the way")


def test_who_shows_none_who_speaks_plainly_and_who_trusts_another_gets_nothing(server: Server, folder: Path) -> None:
    for verify in (context(folder, None), ssl.create_default_context()):
        with httpx.Client(verify=verify) as stranger, pytest.raises(httpx.TransportError):
            stranger.get(f"https://{HOST}:{server.port}/livez")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://{HOST}:{server.port}/livez")


@pytest.mark.requirement("001-39")
def test_tls_12_is_spoken_with_ciphers_of_today_only(server: Server, folder: Path) -> None:
    def at_most_12(allowed: str) -> ssl.SSLContext:
        made = context(folder)
        made.maximum_version = ssl.TLSVersion.TLSv1_2
        made.set_ciphers(allowed)
        return made

    with httpx.Client(verify=at_most_12("ECDHE+AESGCM")) as of_today:
        assert of_today.get(f"https://{HOST}:{server.port}/livez").status_code == 200
    with httpx.Client(verify=at_most_12("ECDHE-ECDSA-AES128-SHA")) as old, pytest.raises(httpx.TransportError):
        old.get(f"https://{HOST}:{server.port}/livez")
