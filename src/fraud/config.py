"""Settings: where the rooms, the database and the tracking server are.

They come from `fraud.toml` (in `$FRAUD_HOME`, or the nearest one at or above the working folder), and the
environment may change places and secrets only: `FRAUD_VAR`, `FRAUD_DATABASE_URL`, `FRAUD_TRACKING_URI`,
`FRAUD_PSEUDONYM_KEY`, `FRAUD_DATA_KEY_FILE` or `FRAUD_DATA_KEY` (read by `fraud.store.ciphers`). Anything that
changes a score is a reviewed file in a room.
"""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fraud.errors import SpecError, nearest

__all__ = ["Settings", "cores", "load_settings"]

FILE = "fraud.toml"
# What Linux lets a container use: microseconds of processor time in each period of so many.
_CONTAINER = Path("/sys/fs/cgroup/cpu.max")
_KNOWN = {
    "rooms": {"features", "models", "serving"},
    "places": {"var", "database_url", "tracking_uri"},
    "triage": {"review", "serious", "critical"},
    "review": {
        "hours_per_week",
        "random_share",
        "most_per_provider",
        "most_of_a_violation",
        "cool_down_days",
        "claims_of_days",
        "minutes",
    },
    "service": {
        "host",
        "port",
        "claim_model",
        "provider_model",
        "patient_model",
        "physician_model",
        "keys",
        "reload_seconds",
        "requests_per_second",
        "persons_per_hour",
        "addresses_per_hour",
        "traces",
        "tls_certificate",
        "tls_key",
        "tls_client_ca",
    },
    "cases": {"urgent", "important", "hours", "days", "alone_below"},
    "notices": {"webhook", "smtp", "mail_from", "mail_to", "kinds"},
    "oidc": {
        "issuer",
        "client_id",
        "address",
        "name",
        "scopes",
        "roles",
        "roles_claim",
        "regions_claim",
        "providers_claim",
        "name_claim",
        "display_claim",
        "amr",
        "acr",
        "leeway_seconds",
        "passwords",
    },
    "workbench": {"persons_per_hour", "idle_minutes", "most_hours", "tip_days"},
    "grades": {"basically", "unreasonable", "fewest_claims"},
    "retention": {"years"},
    "reports": {"locale"},
}


@dataclass(frozen=True)
class Settings:
    """Resolved settings; all paths are absolute. `home` is the folder of the `fraud.toml` in force."""

    home: Path
    features: Path
    models: Path
    var: Path
    database_url: str
    tracking_uri: str
    triage: Mapping[str, float]
    service: Mapping[str, Any]
    locale: str
    pseudonym_key: bytes | None = None
    review: Mapping[str, Any] = field(default_factory=dict)
    rooms: Mapping[str, str] = field(default_factory=dict)
    retention: Mapping[str, Any] = field(default_factory=dict)
    workbench: Mapping[str, Any] = field(default_factory=dict)
    cases: Mapping[str, Any] = field(default_factory=dict)
    notices: Mapping[str, Any] = field(default_factory=dict)
    grades: Mapping[str, Any] = field(default_factory=dict)
    oidc: Mapping[str, Any] = field(default_factory=dict)

    @property
    def serving(self) -> Path:
        """The room of the service: dictionaries of the interfaces that it speaks."""
        return self.home / self.rooms.get("serving", "serving")

    @property
    def artifacts(self) -> Path:
        """Where tracked runs keep their files."""
        return self.var / "artifacts"

    @property
    def lock_file(self) -> Path | None:
        """The pinned environment that runs are logged with; None where the rooms came without one."""
        path = self.home / "requirements.lock"
        return path if path.is_file() else None


def cores() -> int:
    """Processors that this process may use: those it is bound to, and no more than its container has a share of."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _CONTAINER.read_text("ascii").split()
        return max(1, min(bound, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):
        # No container, or one without a limit ("max").
        return bound


def load_settings(environ: Mapping[str, str] | None = None, start: Path | None = None) -> Settings:
    """The settings in force; raises `SpecError` that names every wrong entry at once."""
    env = os.environ if environ is None else environ
    home = Path(env["FRAUD_HOME"]).resolve() if env.get("FRAUD_HOME") else _nearest_home(start or Path.cwd())
    path = home / FILE
    entries = _read(path)
    faults = _faults(entries)
    if faults:
        raise SpecError(f"{path}: " + "; ".join(faults))
    return _resolved(home, entries, env)


def _resolved(home: Path, entries: Mapping[str, Any], env: Mapping[str, str]) -> Settings:
    rooms, places = entries.get("rooms", {}), entries.get("places", {})
    var = home / (env.get("FRAUD_VAR") or places.get("var", "var"))
    secret = env.get("FRAUD_PSEUDONYM_KEY")
    return Settings(
        home=home,
        features=home / rooms.get("features", "features"),
        models=home / rooms.get("models", "models"),
        var=var,
        database_url=env.get("FRAUD_DATABASE_URL") or places.get("database_url") or f"sqlite:///{var / 'fraud.db'}",
        tracking_uri=env.get("FRAUD_TRACKING_URI") or places.get("tracking_uri") or f"sqlite:///{var / 'mlflow.db'}",
        triage=dict(entries.get("triage", {})),
        service=dict(entries.get("service", {})),
        locale=entries.get("reports", {}).get("locale", "en"),
        pseudonym_key=secret.encode() if secret else None,
        review=dict(entries.get("review", {})),
        rooms=dict(rooms),
        retention=dict(entries.get("retention", {})),
        workbench=dict(entries.get("workbench", {})),
        cases=dict(entries.get("cases", {})),
        notices=dict(entries.get("notices", {})),
        grades=dict(entries.get("grades", {})),
        oidc=dict(entries.get("oidc", {})),
    )


def _nearest_home(start: Path) -> Path:
    folders = (start.resolve(), *start.resolve().parents)
    return next((f for f in folders if (f / FILE).is_file()), _packaged_home(start))


def _packaged_home(start: Path) -> Path:
    """The rooms that the wheel carries; a checkout has them beside `src`."""
    inside = Path(__file__).parent / "rooms"
    return inside if inside.is_dir() else start.resolve()


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path}: not valid TOML: {error}") from error


def _faults(entries: Mapping[str, Any]) -> list[str]:
    sections = [f"[{s}] is not known{nearest(s, _KNOWN)}" for s in entries if s not in _KNOWN]
    names = [
        f"{section}.{name} is not known{nearest(name, _KNOWN[section])}"
        for section, values in entries.items()
        if section in _KNOWN
        for name in values
        if name not in _KNOWN[section]
    ]
    return sections + names
