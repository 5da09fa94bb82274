"""Promotion and rollback: two people, the same rows for both versions, and a paper that says why."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from fraud.claims.folder import ClaimsFolder
from fraud.errors import CatalogueError, Fault, GateError
from fraud.learning.governance.comparison import Comparison, Progress, compare
from fraud.learning.metrics import HIGHER_IS_BETTER
from fraud.learning.model import FittedModel
from fraud.learning.registry import Change, Registry
from fraud.learning.reports.decisions import decision_files
from fraud.learning.spec import ModelSpec
from fraud.learning.tracking import keep_texts, load_model
from fraud.learning.validation.gates import CHALLENGER, CHAMPION, GateResult, judge
from fraud.signals.catalogue import Catalogue

__all__ = ["FOLDER", "Decision", "Request", "Standing", "promote", "rollback"]

# Where the papers are among the files of a run.
FOLDER = "promotions"
# Fewer characters than this explain nothing, in any script.
_SHORTEST_REASON = 8
_LONGEST = {"name": 100, "reason": 2000}
_NOTHING_TO_COMPARE_BY = "models without labels rank by rarity, and outcomes do not judge that; the gates were judged"


@dataclass(frozen=True)
class Request:
    """Who asks for a change, who else stands for it, why, and when (a time with its zone)."""

    by: str
    approved_by: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Standing:
    """One version as the paper names it."""

    version: int
    run_id: str
    digest: str
    data_digest: str
    catalogue_digest: str
    fitted_on: str

    @classmethod
    def of(cls, model: FittedModel) -> Standing:
        """The standing of a registered model."""
        assert model.version is not None
        digests = (model.digest, model.data_digest, model.catalogue_digest)
        return cls(model.version, model.run_id or "", *digests, model.as_of)


@dataclass(frozen=True)
class Decision:
    """What was decided about one challenger, by whom and on what grounds; `trial` says that nothing was changed.

    `refusals` is empty when it was promoted. `note` says why there was no comparison.
    """

    name: str
    request: Request
    challenger: Standing
    champion: Standing | None
    entity: str
    gates: tuple[GateResult, ...]
    comparison: Comparison | None
    refusals: tuple[Fault, ...]
    note: str = ""
    trial: bool = False

    @property
    def promoted(self) -> bool:
        """Whether every condition held."""
        return not self.refusals

    @property
    def stem(self) -> str:
        """Name of its files without the ending."""
        return _stem(self.name, self.challenger.version, self.request, "promoted" if self.promoted else "refused")

    def as_dict(self) -> dict[str, Any]:
        """The decision as JSON types."""
        return {
            "model": self.name,
            "decision": "promoted" if self.promoted else "refused",
            "trial": self.trial,
            **_plain_request(self.request),
            "challenger": asdict(self.challenger),
            "champion": asdict(self.champion) if self.champion else None,
            "comparison": self.comparison.as_dict() if self.comparison else None,
            "note": self.note,
            "gates": [asdict(g) | {"said": str(g)} for g in self.gates],
            "refusals": [f.as_dict() for f in self.refusals],
        }

    def check(self) -> None:
        """Raise `GateError` with every reason when it was refused."""
        if self.refusals:
            stays = f"version {self.champion.version} stays champion" if self.champion else "there is still no champion"
            many = f"{len(self.refusals)} conditions do" if len(self.refusals) > 1 else "one condition does"
            raise GateError(
                f"{self.name} version {self.challenger.version} is not promoted: {many} not hold; {stays}.",
                self.refusals,
            )


def promote(
    registry: Registry,
    name: str,
    request: Request,
    folder: ClaimsFolder,
    catalogue: Catalogue,
    *,
    version: str = CHALLENGER,
    spec: ModelSpec | None = None,
    papers: Path | None = None,
    trial: bool = False,
    threads: int = 2,
    progress: Progress | None = None,
) -> Decision:
    """Judge a version against the champion, and make it champion when every condition holds.

    `spec` is the reviewed spec of today: its gates must hold beside those that the version was trained with.
    Versions without labels are not compared: their gates must hold, and somebody must say why in words.
    The paper goes to the version's run and to the folder `papers`, for a refusal too. A trial writes nothing.

    Raises:
        NotKnownError: there is no such model or version.
        CatalogueError: the version cannot score with this catalogue.
    """
    challenger = load_model(name, version, registry.tracking_uri, catalogue)
    champion, note = _champion(registry, name, catalogue)
    number = registry.champion(name)
    comparison = None
    if champion is not None and challenger.spec.kind == "novelty":
        note = _NOTHING_TO_COMPARE_BY
    elif champion is not None and champion.version != challenger.version:
        comparison = compare(folder, champion, challenger, catalogue, threads=threads, progress=progress)
    gates = _gates(challenger, spec)
    refusals = (
        *_same_version(name, challenger, number),
        *_gate_faults(gates),
        *_worse(comparison),
        *_people(request),
        *_lacking_reason(request, comparison, note),
    )
    decision = Decision(
        name=name,
        request=request,
        challenger=Standing.of(challenger),
        champion=Standing.of(champion) if champion else None,
        entity=challenger.spec.entity,
        gates=gates,
        comparison=comparison,
        refusals=refusals,
        note=note,
        trial=trial,
    )
    if not trial:
        _file(
            registry, decision.challenger.run_id, decision_files(decision.as_dict(), decision.entity), decision, papers
        )
        if decision.promoted:
            registry.change_champion(name, _change("promotion", decision.challenger.version, number, request))
    return decision


def rollback(
    registry: Registry, name: str, request: Request, catalogue: Catalogue, papers: Path | None = None
) -> Change:
    """Make the version champion that was so before the one of today, and keep why.

    Raises:
        NotKnownError: there is no such model.
        GateError: a condition does not hold; all of them are in `faults`.
    """
    current, target = registry.champion(name), registry.previous(name)
    faults = [*_people(request), *_short_reason(request)]
    if target is None:
        faults.append(Fault("champion", "first", "no version was champion before this one; there is nothing to go to"))
    else:
        faults += _not_loadable(registry, name, target, catalogue)
    if faults or target is None:
        raise GateError(f"{name} is not rolled back: version {current} stays champion.", faults)
    change = _change("rollback", target, current, request)
    run_id = registry.version(name, current if current is not None else target).run_id
    text = json.dumps({"model": name, **change.as_dict()}, indent=1, ensure_ascii=False)
    _write(registry, run_id, {f"{_stem(name, target, request, 'rollback')}.json": text}, papers)
    registry.change_champion(name, change)
    return change


# --- conditions -----------------------------------------------------------------------------------------


def _champion(registry: Registry, name: str, catalogue: Catalogue) -> tuple[FittedModel | None, str]:
    """The champion, or why there is none to compare with."""
    if registry.champion(name) is None:
        return None, "there is no champion yet"
    try:
        return load_model(name, CHAMPION, registry.tracking_uri, catalogue), ""
    except CatalogueError as error:
        # It cannot answer in the service either: that must not keep its successor away.
        return None, f"the champion cannot score with this catalogue. {error.message}"


def _gates(challenger: FittedModel, today: ModelSpec | None) -> tuple[GateResult, ...]:
    """Gates of the spec that it was trained with, and of the spec in force: neither may have been softened."""
    own = judge(challenger.spec, challenger.metrics)
    more = judge(today, challenger.metrics) if today else ()
    return tuple({g.condition: g for g in (*own, *more)}.values())


def _same_version(name: str, challenger: FittedModel, champion: int | None) -> Iterator[Fault]:
    if challenger.version == champion:
        yield Fault(name, "champion", f"version {champion} is champion already")


def _gate_faults(gates: tuple[GateResult, ...]) -> Iterator[Fault]:
    for gate in gates:
        if not gate.holds:
            yield Fault("gates", "alarm" if gate.alarm else "gate", str(gate))


def _worse(comparison: Comparison | None) -> Iterator[Fault]:
    for d in comparison.harms if comparison else ():
        side = "lower" if HIGHER_IS_BETTER[d.metric] else "higher"
        yield Fault(
            f"comparison/{d.metric}",
            "worse",
            f"{d.metric} is {side} than the champion's beyond chance: {d.challenger:.4f} beside {d.champion:.4f}, "
            f"difference {d.gain.value:+.4f} (95 % interval {d.gain.low:+.4f} to {d.gain.high:+.4f})",
        )


def _people(request: Request) -> Iterator[Fault]:
    by, approved_by = request.by.strip(), request.approved_by.strip()
    if not by:
        yield Fault("by", "missing", "nobody asks for it; name yourself with --by")
    if not approved_by:
        yield Fault("approved_by", "missing", "nobody else stands for it; name the second person with --approved-by")
    elif by.casefold() == approved_by.casefold():
        yield Fault("approved_by", "same_person", "the second person must be somebody else than the one who asks")
    if max(len(by), len(approved_by)) > _LONGEST["name"]:
        yield Fault("by", "long", f"a name has at most {_LONGEST['name']} characters")


def _lacking_reason(request: Request, comparison: Comparison | None, note: str) -> Iterator[Fault]:
    """A change that nobody can measure needs words instead."""
    if comparison is not None and comparison.of("better"):
        return
    why = "no figure is better beyond chance" if comparison else note
    if why != "there is no champion yet":
        for fault in _short_reason(request):
            yield Fault(fault.where, fault.code, f"{why}: {fault.detail}")


def _short_reason(request: Request) -> Iterator[Fault]:
    length = len(request.reason.strip())
    if length < _SHORTEST_REASON:
        yield Fault("reason", "missing", "say in a sentence why it should change all the same, with --reason")
    if length > _LONGEST["reason"]:
        yield Fault("reason", "long", f"a reason has at most {_LONGEST['reason']} characters")


def _not_loadable(registry: Registry, name: str, version: int, catalogue: Catalogue) -> Iterator[Fault]:
    try:
        load_model(name, version, registry.tracking_uri, catalogue)
    except CatalogueError as error:
        yield Fault("version", "catalogue", f"version {version} cannot score any more. {error.message}")


# --- papers ---------------------------------------------------------------------------------------------


def _change(kind: Literal["promotion", "rollback"], version: int, before: int | None, request: Request) -> Change:
    return Change(kind=kind, version=version, before=before, **_plain_request(request))


def _plain_request(request: Request) -> dict[str, str]:
    texts = {k: getattr(request, k).strip() for k in ("by", "approved_by", "reason")}
    return texts | {"at": request.at.isoformat(timespec="milliseconds")}


def _stem(name: str, version: int, request: Request, what: str) -> str:
    return f"{name}-v{version}-{request.at:%Y%m%dT%H%M%S%f}-{what}"


def _file(registry: Registry, run_id: str, texts: Mapping[str, str], decision: Decision, papers: Path | None) -> None:
    _write(registry, run_id, {f"{decision.stem}.{ending}": text for ending, text in texts.items()}, papers)


def _write(registry: Registry, run_id: str, texts: Mapping[str, str], papers: Path | None) -> None:
    """The papers among the files of the run, and in a folder of their own."""
    keep_texts(registry.tracking_uri, run_id, {f"{FOLDER}/{name}": text for name, text in texts.items()})
    if papers is not None:
        papers.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (papers / name).write_text(text, "utf-8")
