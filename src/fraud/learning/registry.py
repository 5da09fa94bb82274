"""The registry: which versions of a model there are, which one scores, and who decided that."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from fraud.errors import InputError, NotKnownError, nearest
from fraud.learning.validation.gates import ALIASES, CHAMPION

__all__ = ["Change", "Registry", "Version", "champions", "file_of"]

Kind = Literal["first", "promotion", "rollback"]
# Tags of a registered model in which its changes of champion are kept, in order of their numbers.
_CHANGE = "champion."


@dataclass(frozen=True)
class Version:
    """One registered version: `gates` says whether those of its training held, `figures` what was measured."""

    name: str
    number: int
    run_id: str
    created_at: datetime
    aliases: tuple[str, ...]
    description: str
    tags: Mapping[str, str]

    @property
    def figures(self) -> Mapping[str, float]:
        """The metrics of its training by name."""
        found: dict[str, float] = json.loads(self.tags.get("figures", "{}"))
        return found

    def as_dict(self) -> dict[str, Any]:
        """The version as JSON types."""
        own = {"name": self.name, "version": self.number, "run_id": self.run_id, "aliases": list(self.aliases)}
        told = {k: v for k, v in self.tags.items() if k != "figures"}
        return own | {"created_at": self.created_at.isoformat(), "figures": dict(self.figures)} | told


@dataclass(frozen=True)
class Change:
    """One change of champion: from which version to which, when, on whose request and with whose approval."""

    kind: Kind
    version: int
    before: int | None
    at: str
    by: str = ""
    approved_by: str = ""
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The change as JSON types."""
        return asdict(self)


def file_of(tracking_uri: str) -> Path | None:
    """The database file that a tracking server is, or None where it is something else."""
    _, is_file, path = tracking_uri.partition("sqlite:///")
    return Path(path) if is_file else None


class Registry:
    """The models registered with one tracking server; nothing is made by asking."""

    def __init__(self, tracking_uri: str) -> None:
        self.tracking_uri = tracking_uri

    @cached_property
    def _client(self) -> Any:
        """MLflow's client; tracking alone knows its type."""
        from fraud.learning.tracking import client_of

        return client_of(self.tracking_uri)

    @property
    def is_empty(self) -> bool:
        """Whether the server is a file that is not there yet: asked for it, MLflow would make one."""
        file = file_of(self.tracking_uri)
        return file is not None and not file.exists()

    # --- reading ------------------------------------------------------------------------------------------

    def names(self) -> tuple[str, ...]:
        """Names of the registered models."""
        found = [] if self.is_empty else self._pages(self._client.search_registered_models, "")
        return tuple(sorted(m.name for m in found))

    def aliases(self, name: str) -> dict[str, int]:
        """Version number by alias; empty for a model that is not registered."""
        model = self._model(name)
        return {a: int(v) for a, v in sorted(model.aliases.items())} if model else {}

    def champion(self, name: str) -> int | None:
        """The version that scores, or None."""
        return self.aliases(name).get(CHAMPION)

    def versions(self, name: str) -> tuple[Version, ...]:
        """All versions of a model, the latest first.

        Raises:
            NotKnownError: no model of that name is registered.
        """
        aliases = self._known(name).aliases
        found = self._pages(self._client.search_model_versions, f"name = '{name}'")
        rows = (_version(v, [a for a, n in sorted(aliases.items()) if str(n) == str(v.version)]) for v in found)
        return tuple(sorted(rows, key=lambda v: -v.number))

    def version(self, name: str, wanted: str | int) -> Version:
        """The version of an alias or number; raises `NotKnownError` when there is none."""
        versions = self.versions(name)
        for v in versions:
            if str(wanted) == str(v.number) or wanted in v.aliases:
                return v
        held = ", ".join(f"{a} (version {n})" for a, n in self.aliases(name).items()) or "none"
        numbers = ", ".join(str(v.number) for v in versions[:5])
        raise NotKnownError(f"{name} has no version or alias {str(wanted)!r}. Aliases: {held}. Versions: {numbers}.")

    def changes(self, name: str) -> tuple[Change, ...]:
        """Every change of champion, the earliest first; a champion that a training made is its first."""
        tags = self._known(name).tags
        kept = [Change(**json.loads(tags[k])) for k in sorted(t for t in tags if t.startswith(_CHANGE))]
        first = kept[0].before if kept else self.champion(name)
        if first is None or (kept and kept[0].kind == "first"):
            return tuple(kept)
        made = next((v.created_at.isoformat() for v in self.versions(name) if v.number == first), "")
        return (Change("first", first, None, made), *kept)

    def previous(self, name: str) -> int | None:
        """The version that was champion before the one of today, however often it was rolled back."""
        standing, current = champions(self.changes(name)), self.champion(name)
        # A champion that was named by hand, past this record, is followed by the last one on it.
        below = standing[: _last(standing, current)] if current in standing else standing
        return below[-1] if below else None

    # --- writing ------------------------------------------------------------------------------------------

    def set_alias(self, name: str, alias: str, version: int | None) -> None:
        """Give an alias to a version, or with None to no version any more; raises `InputError` for another alias."""
        if alias not in ALIASES:
            raise InputError(f"{alias!r} is no alias{nearest(alias, ALIASES)}; there are {', '.join(ALIASES)}.")
        if version is None:
            self._client.delete_registered_model_alias(name, alias)
        else:
            self._client.set_registered_model_alias(name, alias, str(version))

    def change_champion(self, name: str, change: Change) -> None:
        """Make a version champion, and keep who did it and why.

        What is kept comes first: a champion that nobody answers for must not be possible.
        """
        # Numbered for the order; with the time, so that two people at once do not overwrite each other.
        number = sum(t.startswith(_CHANGE) for t in self._known(name).tags) + 1
        key = f"{_CHANGE}{number:06d}.{''.join(c for c in change.at if c.isalnum())}"
        self._client.set_registered_model_tag(name, key, json.dumps(change.as_dict(), ensure_ascii=False))
        for what in ("at", "by", "approved_by", "reason"):
            self._client.set_model_version_tag(name, str(change.version), f"champion_{what}", getattr(change, what))
        self.set_alias(name, CHAMPION, change.version)
        for alias in [a for a, v in self.aliases(name).items() if v == change.version and a != CHAMPION]:
            self.set_alias(name, alias, None)

    # --- MLflow -------------------------------------------------------------------------------------------

    def _model(self, name: str) -> Any:
        if self.is_empty:
            return None
        return next((m for m in self._pages(self._client.search_registered_models, "") if m.name == name), None)

    def _known(self, name: str) -> Any:
        model = self._model(name)
        if model is None:
            names = self.names()
            listed = ", ".join(names) or "none"
            hint = nearest(name, names)
            raise NotKnownError(
                f"no registered model {name!r}{hint}. Registered: {listed}. Make one with: fraud train {name}"
            )
        return model

    def _pages(self, search: Any, wanted: str) -> list[Any]:
        found, token = [], None
        while True:
            page = search(filter_string=wanted, max_results=1000, page_token=token)
            found += page
            token = page.token
            if not token:
                return found


def _version(found: Any, aliases: Sequence[str]) -> Version:
    created = datetime.fromtimestamp(found.creation_timestamp / 1e3, UTC)
    told = (found.description or "", dict(found.tags))
    return Version(found.name, int(found.version), str(found.run_id), created, tuple(aliases), *told)


def champions(changes: Sequence[Change]) -> list[int]:
    """The champions that stand, the earliest first: what was rolled back is no champion to go back to."""
    standing: list[int] = []
    for change in changes:
        if change.kind == "rollback":
            standing = standing[: _last(standing, change.version) + 1]
        else:
            standing.append(change.version)
    return standing


def _last(stack: Sequence[int], version: int | None) -> int:
    """Place of the last entry of a version; that of the end where it has none."""
    return max((i for i, v in enumerate(stack) if v == version), default=len(stack))
