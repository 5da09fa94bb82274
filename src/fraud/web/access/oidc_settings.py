"""Where people sign in elsewhere, out of `[oidc]` of `fraud.toml`: the provider, and what its claims mean here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from fraud.errors import Fault, SpecError
from fraud.store.people import PEOPLE_ROLES

__all__ = ["SECRET", "OidcSettings", "is_safe_address", "oidc_settings"]

SECRET = "FRAUD_OIDC_SECRET"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_TEXTS = (
    "issuer", "client_id", "address", "name", "roles_claim", "regions_claim", "providers_claim", "name_claim",
    "display_claim",
)  # fmt: skip
_LISTS = ("scopes", "amr", "acr")
_MOST_LEEWAY = 300


@dataclass(frozen=True)
class OidcSettings:
    """One OpenID provider. `address` is where browsers reach this service, `name` what the button calls the provider.

    `roles` are the values of the claim `roles_claim` that give each role here, the first that fits counts. Where
    `regions_claim` or `providers_claim` is set, somebody without it has no entry, and `*` alone stands for all.
    Whoever comes with one of `amr` or `acr` has shown a second factor there; all others are asked for ours.
    A claim may lie deeper: `realm_access.roles`.
    """

    issuer: str = ""
    client_id: str = ""
    address: str = ""
    secret: str = field(default="", repr=False)
    name: str = ""
    scopes: tuple[str, ...] = ("openid", "profile")
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    roles_claim: str = "groups"
    regions_claim: str = ""
    providers_claim: str = ""
    name_claim: str = "preferred_username"
    display_claim: str = "name"
    amr: tuple[str, ...] = ("mfa",)
    acr: tuple[str, ...] = ()
    leeway_seconds: int = 60
    passwords: bool = True

    @property
    def label(self) -> str:
        """What the provider is called."""
        return self.name or str(urlsplit(self.issuer).hostname)


def oidc_settings(given: Mapping[str, Any], environ: Mapping[str, str]) -> OidcSettings | None:
    """The settings of `[oidc]` with the client's secret out of the environment; None where no issuer is named.

    Raises `SpecError` that names every fault.
    """
    if not given.get("issuer"):
        return None
    faults = list(_faults(given))
    if faults:
        said = "; ".join(f"{f.where}: {f.detail}" for f in faults[:5])
        raise SpecError(f"fraud.toml has {len(faults)} faults in [oidc]: {said}"[:500], faults)
    lists = {name: tuple(given[name]) for name in _LISTS if name in given}
    return OidcSettings(
        **{
            **given,
            **lists,
            "address": given["address"].rstrip("/"),
            "roles": {role: tuple(values) for role, values in given["roles"].items()},
            "secret": environ.get(SECRET, ""),
        }
    )


def is_safe_address(address: object) -> bool:
    """Whether it is an address of HTTPS, or of this machine, without anything that does not belong there."""
    if not isinstance(address, str) or not address.isprintable() or "\\" in address or " " in address:
        return False
    try:
        parts = urlsplit(address)
        here = parts.hostname in _LOOPBACK
    except ValueError:
        return False
    plain = parts.username is None and parts.fragment == ""
    return plain and bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and here))


def _faults(given: Mapping[str, Any]) -> Iterable[Fault]:
    for name in _TEXTS:
        if not isinstance(given.get(name, ""), str):
            yield Fault(f"/oidc/{name}", "type", f"expected a text, found {given[name]!r}")
    for name in _LISTS:
        if not _is_list(given.get(name, [])):
            yield Fault(f"/oidc/{name}", "type", 'expected a list such as ["a", "b"]')
    for name in ("issuer", "address"):
        if not is_safe_address(given.get(name)):
            yield Fault(f"/oidc/{name}", "value", "expected an address that begins with https://")
    if not given.get("client_id"):
        yield Fault("/oidc/client_id", "missing", "expected the id that the provider gave to this service")
    if "openid" not in given.get("scopes", ["openid"]):
        yield Fault("/oidc/scopes", "value", 'expected "openid" among them')
    leeway = given.get("leeway_seconds", 0)
    if isinstance(leeway, bool) or not isinstance(leeway, int) or not 0 <= leeway <= _MOST_LEEWAY:
        yield Fault("/oidc/leeway_seconds", "value", f"expected a whole number from 0 to {_MOST_LEEWAY}")
    if not isinstance(given.get("passwords", True), bool):
        yield Fault("/oidc/passwords", "type", "expected true or false")
    yield from _role_faults(given.get("roles"))


def _role_faults(roles: object) -> Iterable[Fault]:
    if not isinstance(roles, Mapping) or not roles:
        yield Fault("/oidc/roles", "missing", "say whom to let in: [oidc.roles] with a list of values for a role")
        return
    for role, values in roles.items():
        if role not in PEOPLE_ROLES:
            yield Fault(f"/oidc/roles/{role}", "unknown", f"a role is one of {', '.join(PEOPLE_ROLES)}")
        if not _is_list(values) or not values:
            yield Fault(f"/oidc/roles/{role}", "type", "expected a list of the values that give this role")


def _is_list(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(v, str) and v for v in values)
