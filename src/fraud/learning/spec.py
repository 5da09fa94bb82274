"""Model specs: what a model predicts, from which signals, and what it must show before it is used."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from fraud.claims.schema import TABLES
from fraud.errors import Fault, SpecError, nearest
from fraud.learning.metrics import GATE_METRICS, METRICS, NOVELTY_METRICS

__all__ = ["Capacity", "Cleared", "Gate", "LabelRule", "ModelSpec", "Parameters", "Split", "load_spec", "parse_spec"]

ENTITIES = TABLES["outcomes"].by_name["entity"].values
VERDICTS = TABLES["outcomes"].by_name["verdict"].values
# These say that nothing is known yet, or that the data were wrong: never that an entity is clean.
UNDECIDED = ("insufficient_evidence", "data_error", "operation_error", "pending")
TREATMENTS = ("ignore", "negative", "weighted")
OPERATORS = (">=", ">", "<=", "<")
KINDS = ("risk", "novelty")
# What a model without labels is checked against, where there are outcomes after all.
_ANY_FINDING = {
    "positive": ("confirmed_fraud", "confirmed_abuse", "waste", "improper_payment"),
    "negative": ("false_positive", "appeal_upheld"),
}
GROUPS = {"claim": ("provider_id", "patient_id")}
ALARMS = (*METRICS, "single_feature_auc")
_MAX_EXAMPLES = 5
# Fewer words than this do not explain why a result that looks like a leak is none.
_WORDS_OF_A_REASON = 8
_WORDS = {int: "a whole number", float: "a number", str: "a text", tuple: "a list of texts", dict: "a table"}


def _within(low: float, high: float, default: Any = MISSING) -> Any:
    """A number field that must lie between two bounds, both included."""
    return field(default=default, metadata={"low": low, "high": high})


def _among(values: Iterable[str], default: Any = MISSING) -> Any:
    """A text (or list of texts) that must come from a closed set."""
    return field(default=default, metadata={"values": tuple(values)})


@dataclass(frozen=True)
class LabelRule:
    """Which verdicts make an entity positive or negative; entities with any other verdict are unlabelled.

    `unlabelled` is what the fit makes of entities that nobody looked at: `ignore` leaves them out, `negative`
    counts them as negatives, `weighted` as negatives by how likely each is one (see
    `fraud.learning.datasets.propensity`). One that is younger than `maturity_days` on the day of the labels is no
    negative yet: nobody had the time to look.
    """

    positive: tuple[str, ...] = _among(VERDICTS)
    negative: tuple[str, ...] = _among(VERDICTS)
    maturity_days: int = _within(0, 3660, 0)
    unlabelled: str = _among(TREATMENTS, "ignore")


@dataclass(frozen=True)
class Parameters:
    """LightGBM settings; `bags` boosters with different seeds are averaged on the margin.

    Bounds keep a request fast: the answer and its exact explanation grow with bags × rounds × leaves.
    """

    rounds: int = _within(1, 1000, 120)
    bags: int = _within(1, 10, 3)
    learning_rate: float = _within(0.001, 1, 0.04)
    num_leaves: int = _within(2, 64, 15)
    max_depth: int = _within(1, 6, 5)
    min_data_in_leaf: int = _within(1, 10_000, 20)
    feature_fraction: float = _within(0.01, 1, 0.6)
    bagging_fraction: float = _within(0.01, 1, 0.7)
    lambda_l2: float = _within(0, 1000, 5.0)
    max_bin: int = _within(15, 255, 63)


@dataclass(frozen=True)
class Split:
    """How the report is measured: `folds` × `repeats`, and the share of positives kept for later in time.

    `group` names what may not be in two folds: for claims `provider_id` or `patient_id`; the other entities
    are their own groups.
    """

    folds: int = _within(2, 20, 5)
    repeats: int = _within(1, 20, 3)
    group: str = "provider_id"
    holdout_share: float = _within(0.1, 0.5, 0.3)


@dataclass(frozen=True)
class Surprise:
    """How much the rarity of a value counts beside the verdicts; `fraud.learning.blending` says how.

    `weight` is what each power of ten beyond `beyond` adds, in log-odds (0: nothing). `signals` and `exclude` are
    patterns of feature columns whose values may surprise.
    """

    weight: float = _within(0.0, 10.0, 0.0)
    beyond: float = _within(0.0, 8.0, 2.0)
    signals: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class Capacity:
    """What the reviewers can look at: `k` is the length of the list that precision is measured on."""

    reviews_per_week: int = _within(1, 1_000_000, 25)
    k: int = _within(1, 1_000_000, 100)


@dataclass(frozen=True)
class Gate:
    """One condition of promotion; `value` is a number or the name of another metric."""

    metric: str
    op: str
    value: float | str

    def __str__(self) -> str:
        return f"{self.metric} {self.op} {self.value}"


@dataclass(frozen=True)
class Cleared:
    """A leak alarm that was looked into: up to this value the result has another explanation."""

    metric: str
    up_to: float
    because: str


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One model, as its TOML file says it.

    `kind` is `risk` for a model that is fitted on labels, and `novelty` for one that says how far a row stands out
    from all others; its `label` only serves to check it, and may be left out.
    `signals` and `exclude` are patterns of signal ids (`provider.*`); `exclude` also takes names of feature
    columns (`*.peer_percentile`). `window_days` is the length of the window behind the snapshot of a
    patient, provider or physician. `sample` is the most rows without an outcome that are used (0: all); each
    then counts for those that it stands for. `leak_alarm` holds ceilings: a better result is a leak until shown
    otherwise, and stops promotion; `cleared` is where that is shown, in writing.
    """

    name: str
    kind: str = _among(KINDS, "risk")
    entity: str = _among(ENTITIES)
    seed: int = _within(0, 2**31 - 1)
    window_days: int = _within(1, 3660)
    sample: int = _within(0, 2**31 - 1, 0)
    signals: tuple[str, ...]
    label: LabelRule
    title: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    parameters: Parameters = field(default_factory=Parameters)
    surprise: Surprise = field(default_factory=Surprise)
    split: Split = field(default_factory=Split)
    capacity: Capacity = field(default_factory=Capacity)
    gates: tuple[Gate, ...] = ()
    leak_alarm: Mapping[str, float] = field(default_factory=dict)
    cleared: tuple[Cleared, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The spec as plain types, as `parse_spec` reads it."""
        plain: dict[str, Any] = _plain(asdict(self))
        # Models that were fitted before there was another kind, or surprise, keep their digest.
        usual = {"kind": self.kind == "risk", "surprise": self.surprise == Surprise()}
        return {k: v for k, v in plain.items() if not usual.get(k)}

    def includes(self, name: str) -> bool:
        """Whether a signal id, or a feature column of an included signal, is wanted and not excluded."""
        return matches(name, self.signals) and not matches(name, self.exclude)


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether any pattern fits the name; case counts."""
    return any(fnmatchcase(name, p) for p in patterns)


def load_spec(path: str | Path) -> ModelSpec:
    """The spec of a TOML file.

    Raises:
        SpecError: the file cannot be read, or has faults; all of them are in `faults`.
    """
    file = Path(path)
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        known = sorted(p.stem for p in file.parent.glob("*.toml"))
        raise SpecError(
            f"no model spec {file.name}{nearest(file.stem, known)}. Specs here: {', '.join(known) or 'none'}."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{file.name}: not a TOML file: {error}") from None
    return parse_spec(table, where=file.name)


def parse_spec(table: Mapping[str, Any], where: str = "spec") -> ModelSpec:
    """The spec of a plain table; raises `SpecError` with every fault at once."""
    faults: list[Fault] = []
    if table.get("kind") == "novelty" and "label" not in table:
        table = {**table, "label": _ANY_FINDING}
    spec: ModelSpec | None = _section(ModelSpec, table, "", faults)
    if spec is not None:
        faults += _disagreements(spec)
    if faults or spec is None:
        shown = "; ".join(f"{f.where}: {f.detail}" for f in faults[:_MAX_EXAMPLES])
        more = f" and {len(faults) - _MAX_EXAMPLES} more" if len(faults) > _MAX_EXAMPLES else ""
        raise SpecError(f"{where} has {len(faults)} faults: {shown}{more}"[:500], faults)
    return spec


def _section(cls: type[Any], table: object, at: str, faults: list[Fault]) -> Any:
    """An instance of a section; None when something in it is wrong, which is then in `faults`."""
    if not isinstance(table, Mapping):
        faults.append(Fault(at or "/", "type", f"expected a table, found {table!r}"))
        return None
    before, types, known = len(faults), get_type_hints(cls), {f.name: f for f in fields(cls)}
    faults += [
        Fault(f"{at}/{name}", "unknown", f"there is no such setting{nearest(str(name), known)}")
        for name in table
        if name not in known
    ]
    given = {n: _value(f, types[n], table[n], f"{at}/{n}", faults) for n, f in known.items() if n in table}
    for name, f in known.items():
        if name not in table and f.default is MISSING and f.default_factory is MISSING:
            faults.append(Fault(f"{at}/{name}", "missing", f"is required; {_expected(f, types[name])}"))
    return cls(**given) if len(faults) == before else None


def _value(f: Field[Any], kind: Any, value: object, at: str, faults: list[Fault]) -> Any:
    if isinstance(kind, type) and hasattr(kind, "__dataclass_fields__"):
        return _section(kind, value, at, faults)
    if get_origin(kind) is tuple and hasattr(row_type := get_args(kind)[0], "__dataclass_fields__"):
        rows = value if isinstance(value, (list, tuple)) else [value]
        return tuple(_section(row_type, row, f"{at}/{i}", faults) for i, row in enumerate(rows))
    found = _convert(kind, value)
    if found is None or not _in_range(f, found):
        hint = _hint(f, value)
        faults.append(Fault(at, "value", f"expected {_expected(f, kind)}, found {value!r}{hint}"))
    return found


def _convert(kind: Any, value: object) -> Any:
    """The value in the type of the field; None where it is of another type."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return value if number and isinstance(value, int) else None
    if kind is float:
        return float(value) if number else None  # type: ignore[arg-type]
    if kind is str:
        return value if isinstance(value, str) and value else None
    if get_origin(kind) is tuple:
        fits = isinstance(value, (list, tuple)) and value and all(isinstance(v, str) for v in value)
        return tuple(value) if fits else (() if value in ([], ()) else None)  # type: ignore[arg-type]
    if kind in (float | str, str | float):
        return value if isinstance(value, str) else _convert(float, value)
    return _convert_table(get_args(kind)[1], value)


def _convert_table(kind: Any, value: object) -> dict[str, Any] | None:
    if not isinstance(value, Mapping):
        return None
    converted = {str(k): _convert(kind, v) for k, v in value.items()}
    return None if None in converted.values() else converted


def _in_range(f: Field[Any], value: Any) -> bool:
    if "low" in f.metadata:
        return bool(f.metadata["low"] <= value <= f.metadata["high"])
    allowed = f.metadata.get("values")
    return not allowed or all(v in allowed for v in ([value] if isinstance(value, str) else value))


def _expected(f: Field[Any], kind: Any) -> str:
    if "low" in f.metadata:
        return f"{_WORDS[kind]} from {f.metadata['low']:g} to {f.metadata['high']:g}"
    if "values" in f.metadata:
        return f"one of {', '.join(f.metadata['values'])}"
    return _WORDS.get(get_origin(kind) or kind, "a table")


def _hint(f: Field[Any], value: object) -> str:
    given = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    wrong = [v for v in given if isinstance(v, str) and v not in f.metadata.get("values", ())]
    return nearest(wrong[0], f.metadata.get("values", ())) if wrong else ""


def _disagreements(spec: ModelSpec) -> list[Fault]:
    """What is wrong between settings that are each well-formed."""
    if spec.kind == "novelty" and spec.surprise.weight:
        return [Fault("/surprise", "kind", "a model without labels is nothing but surprise; leave it out")]
    return [*_label_faults(spec.label), *_group_faults(spec), *_gate_faults(spec), *_alarm_faults(spec)]


def _label_faults(label: LabelRule) -> Iterable[Fault]:
    for name in ("positive", "negative"):
        verdicts = getattr(label, name)
        if not verdicts:
            yield Fault(f"/label/{name}", "empty", f"name at least one of {', '.join(VERDICTS)}")
        for v in sorted(set(verdicts) & set(UNDECIDED)):
            yield Fault(f"/label/{name}", "undecided", f"{v!r} says that nothing was found out; it is no label")
    for v in sorted(set(label.positive) & set(label.negative)):
        yield Fault("/label", "both", f"{v!r} is positive and negative")
    if "appeal_upheld" in label.positive:
        yield Fault("/label/positive", "appeal", "'appeal_upheld' means that the finding was withdrawn")


def _group_faults(spec: ModelSpec) -> Iterable[Fault]:
    allowed = GROUPS.get(spec.entity, (f"{spec.entity}_id",))
    if spec.split.group not in allowed:
        expected = " or ".join(allowed)
        detail = f"folds of a {spec.entity} model are grouped by {expected}, found {spec.split.group!r}"
        yield Fault("/split/group", "value", detail)


def _gate_faults(spec: ModelSpec) -> Iterable[Fault]:
    known = tuple(NOVELTY_METRICS) if spec.kind == "novelty" else GATE_METRICS
    for i, gate in enumerate(spec.gates):
        names = [gate.metric, *([gate.value] if isinstance(gate.value, str) else [])]
        for name in names:
            if name not in known:
                hint = nearest(name, known) or (f"; there are {', '.join(known)}" if spec.kind == "novelty" else "")
                yield Fault(f"/gates/{i}", "metric", f"no metric {name!r}{hint}")
        if gate.op not in OPERATORS:
            yield Fault(f"/gates/{i}/op", "value", f"expected one of {' '.join(OPERATORS)}, found {gate.op!r}")


def _alarm_faults(spec: ModelSpec) -> Iterable[Fault]:
    if spec.kind == "novelty" and spec.leak_alarm:
        yield Fault("/leak_alarm", "kind", "a model that has seen no label cannot have seen one too many; leave it out")
    for name in spec.leak_alarm:
        if name not in ALARMS:
            yield Fault(f"/leak_alarm/{name}", "metric", f"no such metric{nearest(name, ALARMS)}")
    for i, found in enumerate(spec.cleared):
        if found.metric not in spec.leak_alarm:
            hint = nearest(found.metric, spec.leak_alarm)
            yield Fault(f"/cleared/{i}", "metric", f"there is no alarm on {found.metric!r}{hint}")
        if len(found.because.split()) < _WORDS_OF_A_REASON:
            yield Fault(f"/cleared/{i}/because", "reason", "say what was checked and what it showed")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
