"""A fitted model as plain files: boosters, calibration and everything scoring compares with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.errors import CatalogueError, InputError
from fraud.learning.blending import Scoring, scoring_of
from fraud.learning.calibration.calibration import Calibration, Standing
from fraud.learning.calibration.intervals import Intervals
from fraud.learning.calibration.recovery import WHOLE, Recovery
from fraud.learning.origin import FILE as _ORIGIN
from fraud.learning.origin import Origin, read_small
from fraud.learning.spec import ModelSpec, parse_spec
from fraud.signals.catalogue import Catalogue
from fraud.signals.frames import Reference
from fraud.signals.peers import PeerGroup, Peers, Rates

__all__ = ["FittedModel"]

FORMAT = 2
_HEAD, _NORMS, _PEERS = "model.json", "norms.parquet", "peers.parquet"
# What stored peers know of rates, in the order of `Rates`.
_RATES = ("alpha", "beta", "rate_median", "rate_spread")


@dataclass(frozen=True, eq=False)
class FittedModel:
    """One fitted model with what it needs to score; `version` and `alias` are known once it is registered.

    `names` are the feature columns that it reads, in order; `signal_ids` the signals they come from; `monotone`
    the sign of each feature. `reference` holds the norms and peers that the features are compared with. Without
    `intervals` a probability is its own bounds; `recovery` says how much of what was paid is at stake. `origin` is
    what later claims are compared with; it decides no score.
    """

    spec: ModelSpec
    names: tuple[str, ...]
    signal_ids: tuple[str, ...]
    monotone: tuple[int, ...]
    ensemble: Scoring
    calibration: Calibration
    standing: Standing
    reference: Reference
    as_of: str
    data_digest: str
    catalogue_digest: str
    signal_digests: Mapping[str, str]
    skipped: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    intervals: Intervals | None = None
    recovery: Recovery = WHOLE
    origin: Origin | None = None
    version: int | None = None
    alias: str | None = None
    run_id: str | None = None

    @property
    def name(self) -> str:
        """The spec's name."""
        return self.spec.name

    def margins(self, values: np.ndarray, threads: int = 1) -> np.ndarray:
        """Raw log-odds of rows × `names`; scores without a unit of a model without labels."""
        return self.ensemble.margins(self._checked(values), threads)

    def probability(self, margins: np.ndarray) -> np.ndarray:
        """Calibrated probabilities of margins; NaN of a model without labels, which cannot know any."""
        return self.calibration.probability(margins)

    def interval(self, margins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bounds of the probabilities of margins."""
        if self.intervals is None:
            return (self.probability(margins), self.probability(margins))
        return self.intervals.bounds(self.calibration, margins)

    def at_stake(self, paid: np.ndarray) -> np.ndarray:
        """Money that could come back if the suspicion holds, for money paid, in the payer's currency."""
        return self.recovery.at_stake(paid)

    def percentile(self, probabilities: np.ndarray) -> np.ndarray:
        """Place (0 to 100) of what `ranking` gives among everybody who was scored at fitting."""
        return self.standing.percentile(probabilities)

    def ranking(self, margins: np.ndarray) -> np.ndarray:
        """What rows are put in order by: probabilities, or the margins themselves where no probability is known."""
        return margins if self.spec.kind == "novelty" else self.probability(margins)

    def place(self, margins: np.ndarray) -> np.ndarray:
        """Place (0 to 100) of margins among everybody who was scored at fitting."""
        return self.percentile(self.ranking(margins))

    def contributions(self, values: np.ndarray, threads: int = 1) -> tuple[float, np.ndarray]:
        """The base, and the exact contribution of each feature to the margin, rows × `names`."""
        found = self.ensemble.contributions(self._checked(values), threads)
        return float(found[0, -1]) if len(found) else 0.0, found[:, :-1]

    def _checked(self, values: np.ndarray) -> np.ndarray:
        if values.ndim != 2 or values.shape[1] != len(self.names):
            raise InputError(
                f"{self.name} reads rows of {len(self.names)} features, found an array of shape {values.shape}."
            )
        return np.ascontiguousarray(values, dtype=np.float64)

    @cached_property
    def digest(self) -> str:
        """`sha256:` of what decides a score; equal for equal data, spec, seed and lock."""
        total = hashlib.sha256(json.dumps(self._identity(), sort_keys=True).encode())
        for text in self.ensemble.texts:
            total.update(text.encode())
        for array in (self.standing.quantiles, *self._reference_arrays()):
            total.update(np.ascontiguousarray(array).tobytes())
        return f"sha256:{total.hexdigest()}"

    def _identity(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "spec": self.spec.as_dict(),
            "features": self.names,
            "monotone": self.monotone,
            "calibration": self.calibration.as_dict(),
            "intervals": self.intervals.as_dict() if self.intervals else None,
            "recovery": self.recovery.as_dict(),
            "as_of": self.as_of,
            "data": self.data_digest,
            "catalogue": self.catalogue_digest,
            "signals": {s: self.signal_digests[s] for s in self.signal_ids},
        }

    def _reference_arrays(self) -> list[np.ndarray]:
        norms = [self.reference.norms[n].to_numpy() for n in ("n", "share", "amount", "days")]
        groups = [g for p in self.reference.peers.values() for g in p.groups.values()]
        rates = (a for g in groups for a in (g.rates.alpha, g.rates.beta, g.rates.median, g.rates.spread))
        return [*norms, *(a for g in groups for a in (g.median, g.spread, g.quantiles)), *rates]

    def check(self, catalogue: Catalogue) -> None:
        """Raise `CatalogueError` when a signal that the model reads is not as it was at fitting."""
        known = catalogue.digests
        gone = [f"{s} is gone" for s in self.signal_ids if s not in known]
        changed = [f"{s} has changed" for s in self.signal_ids if s in known and known[s] != self.signal_digests[s]]
        faults = [*gone, *changed]
        if faults:
            named = "; ".join(faults[:5]) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else "")
            raise CatalogueError(
                f"{self.name} was fitted on another catalogue: {named}. Train it again (fraud train {self.name} "
                "--claims DIR), or restore the signals it was fitted on."
            )

    # --- files --------------------------------------------------------------------------------------------

    def save(self, directory: str | Path) -> Path:
        """Write the model into a folder of plain files; returns the folder."""
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        for i, text in enumerate(self.ensemble.texts):
            (folder / f"booster-{i}.txt").write_text(text, "utf-8")
        pq.write_table(self.reference.norms, folder / _NORMS, compression="zstd")
        tables = [p.to_arrow() for p in self.reference.peers.values()]
        peers = pa.concat_tables(tables) if tables else Peers("provider", (), {}).to_arrow()
        pq.write_table(peers, folder / _PEERS, compression="zstd")
        if self.origin is not None:
            self.origin.write(folder / _ORIGIN)
        (folder / _HEAD).write_text(json.dumps(self._head(), indent=1, ensure_ascii=False) + "\n", "utf-8")
        return folder

    def _head(self) -> dict[str, Any]:
        own = {
            "digest": self.digest,
            "boosters": len(self.ensemble.texts),
            "skipped": dict(self.skipped),
            "metrics": dict(self.metrics),
            "standing": self.standing.quantiles.tolist(),
        }
        return {**self._identity(), **own}

    @classmethod
    def load(cls, directory: str | Path, catalogue: Catalogue | None = None) -> FittedModel:
        """The model of a folder that `save` wrote; with a catalogue, checked against it.

        Raises:
            InputError: the folder holds no model, or one whose files were changed.
            CatalogueError: the model was fitted on other signals than the catalogue's.
        """
        folder = Path(directory)
        if not (folder / _HEAD).is_file():
            raise InputError(f"{folder}: holds no fitted model ({_HEAD} is missing). Make one with fraud train.")
        head = json.loads((folder / _HEAD).read_text("utf-8"))
        if head["format"] != FORMAT:
            raise InputError(f"{folder.name}: model format {head['format']}, this version reads {FORMAT}.")
        model = _from_files(folder, head)
        if model.digest != head["digest"]:
            raise InputError(f"{folder.name}: the files are not those that were written; load the model again.")
        if catalogue is not None:
            model.check(catalogue)
        return model


def _from_files(folder: Path, head: Mapping[str, Any]) -> FittedModel:
    texts = [(folder / f"booster-{i}.txt").read_text("utf-8") for i in range(head["boosters"])]
    spec = parse_spec(head["spec"])
    return FittedModel(
        spec=spec,
        names=tuple(head["features"]),
        signal_ids=tuple(head["signals"]),
        monotone=tuple(head["monotone"]),
        ensemble=scoring_of(spec, texts),
        calibration=Calibration.from_dict(head["calibration"]),
        standing=Standing(np.array(head["standing"])),
        reference=Reference(read_small(folder / _NORMS), _read_peers(read_small(folder / _PEERS))),
        as_of=head["as_of"],
        data_digest=head["data"],
        catalogue_digest=head["catalogue"],
        signal_digests=head["signals"],
        skipped=head["skipped"],
        metrics=head["metrics"],
        intervals=Intervals.from_dict(head["intervals"]) if head["intervals"] else None,
        recovery=Recovery.from_dict(head["recovery"]),
        origin=Origin.read(folder / _ORIGIN),
    )


def _read_peers(table: pa.Table) -> dict[str, Peers]:
    """Peers by entity, read column by column: row by row a service would start seconds later."""
    entities = np.array(table["entity"].to_pylist(), dtype=object)
    return {str(e): _peers_of(str(e), table.filter(pa.array(entities == e))) for e in dict.fromkeys(entities)}


def _peers_of(entity: str, table: pa.Table) -> Peers:
    names = tuple(dict.fromkeys(table["signal"].to_pylist()))
    groups = [tuple(g) for g in table["group"].to_pylist()[:: len(names)]]
    shape = (len(groups), len(names))
    n, median, spread = (table[c].to_numpy().reshape(shape) for c in ("n", "median", "spread"))
    quantiles = table["quantiles"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(*shape, -1)
    rates = [table[c].to_numpy().reshape(shape) for c in _RATES]
    frozen = (
        PeerGroup(int(n[i, 0]), median[i], spread[i], quantiles[i].T, Rates(*(r[i] for r in rates)))
        for i in range(len(groups))
    )
    return Peers(entity, names, dict(zip(groups, frozen, strict=True)))
