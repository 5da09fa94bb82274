"""What somebody who signed in elsewhere is here: role, bounds and names out of the provider's claims."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fraud.store.identities import Stated
from fraud.web.access.oidc_settings import OidcSettings

__all__ = ["NoEntryError", "shows_second_factor", "stated"]

_ALL = "*"
# Codes of regions and institutions, a region's with a star at its end.
_BOUND = re.compile(r"[\w.-]{1,64}\*?")
_MOST_BOUNDS = 1_000


class NoEntryError(Exception):
    """Somebody is who they say, and has no entry here; `why` is `role` or `bounds`."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def stated(settings: OidcSettings, claims: Mapping[str, Any], language: str = "en") -> Stated:
    """The role, bounds and names that the claims stand for; raises `NoEntryError` where they stand for none.

    `language` is that of the browser, for somebody of whom the provider does not say one.
    """
    groups = set(_values(_claim(claims, settings.roles_claim)))
    role = next((role for role, values in settings.roles.items() if groups & set(values)), None)
    if role is None:
        raise NoEntryError("role")
    return Stated(
        issuer=settings.issuer,
        subject=claims["sub"],
        name=_text(_claim(claims, settings.name_claim)),
        display_name=_text(_claim(claims, settings.display_claim)),
        role=role,
        regions=_bounds(settings.regions_claim, claims),
        providers=_bounds(settings.providers_claim, claims),
        language=_language(claims.get("locale"), language),
    )


def shows_second_factor(settings: OidcSettings, claims: Mapping[str, Any]) -> bool:
    """Whether the provider states that a second factor was shown there.

    >>> shows_second_factor(OidcSettings(amr=("mfa",)), {"amr": ["pwd", "mfa"]})
    True
    """
    methods, context = claims.get("amr"), claims.get("acr")
    by_method = isinstance(methods, list) and any(m in settings.amr for m in methods)
    return by_method or (isinstance(context, str) and context in settings.acr)


def _claim(claims: Mapping[str, Any], name: str) -> object:
    """The value of a claim, by its whole name or by the way to it."""
    if name in claims:
        return claims[name]
    found: object = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _values(found: object) -> list[str]:
    if isinstance(found, str):
        return found.replace(",", " ").split()
    return [v for v in found if isinstance(v, str)] if isinstance(found, list) else []


def _bounds(name: str, claims: Mapping[str, Any]) -> tuple[str, ...]:
    """The bounds that a claim sets. An empty list would be no bound at all, so whoever has none has no entry."""
    if not name:
        return ()
    found = _values(_claim(claims, name))
    if found == [_ALL]:
        return ()
    if not 0 < len(found) <= _MOST_BOUNDS or not all(_BOUND.fullmatch(v) for v in found):
        raise NoEntryError("bounds")
    return tuple(dict.fromkeys(found))


def _language(locale: object, usual: str) -> str:
    return usual if not isinstance(locale, str) else "zh" if locale.lower().startswith("zh") else "en"


def _text(found: object) -> str:
    return found if isinstance(found, str) else ""
