"""Keys of every role, with bounds and without, and which of them to show for a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fraud.store import Keys, Store
from fraud.store.keys import ROLES
from fraud.web.access.guard import RULES
from fraud.web.app import CALLS

from .mutations import Request

__all__ = ["Callers", "made"]

_EACH = 4
# Records of these are among the examples; of others nobody with such a key may know.
_PROVIDER = "h-3"
_NAMES = {(path, method): name for path, method, name, _ in CALLS}


@dataclass(frozen=True)
class Callers:
    """Secrets by role; every second of a role has bounds."""

    secrets: Mapping[str, Sequence[str]]

    def secret(self, request: Request, number: int) -> str:
        """A key for the request: three times of four one that may make the call, else any."""
        name = _NAMES.get((request.template, request.method), "")
        may = sorted(RULES[name].roles & set(self.secrets)) if name in RULES else []
        roles = may if may and number % 4 else sorted(self.secrets)
        of_role = self.secrets[roles[number // 4 % len(roles)]]
        return of_role[number % len(of_role)]


def made(url: str) -> Callers:
    """New keys in a service's database: within seconds it asks everybody for one."""
    with Store(url) as store:
        keys = Keys(store.database)
        return Callers({role: [_secret(keys, role, n) for n in range(_EACH)] for role in ROLES})


def _secret(keys: Keys, role: str, number: int) -> str:
    bounds = (_PROVIDER,) if number % 2 else ()
    return keys.add(f"fuzz {role} {number}", role, "person:fuzz", providers=bounds)[1]
