"""A town of providers written to disk, and a catalogue of a few signals to describe them with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from fraud.claims.folder import ClaimsFolder, TableWriter
from fraud.learning.spec import ModelSpec, parse_spec
from fraud.signals.catalogue import Catalogue, load_catalogue

PROVIDERS = 300
CLAIMS_EACH = 12
START = datetime(2024, 1, 1)
DAYS = 540
END = START + timedelta(days=DAYS)

_SIGNALS = {
    "provider/size.py": """
@signal(title=T, says=T, unit="claims", riskier="high", default=0, volume=True)
def claims(window):
    "Claims in the window."
    return window.count()

@signal(title=T, says=T, unit="CNY", riskier="high", peer=True)
def mean_amount(window):
    "Mean amount of a claim."
    return window.total_amount.mean()

@signal(title=T, says=T, unit="days", riskier="high")
def mean_stay(window):
    "Mean length of stay."
    return window.stay_days.mean()

@signal(title=T, says=T, unit="share", riskier="low")
def self_paid(window):
    "Share that patients pay themselves."
    return (window.total_amount - window.fund_amount).sum() / window.total_amount.sum()

@signal(title=T, says=T, unit="day", riskier="either")
def mean_weekday(window):
    "Mean day of the week."
    return window.weekday.mean()

@signal(title=T, says=T, unit="weight", riskier="high")
def mean_weight(window):
    "Mean weight of the diagnosis-related groups."
    return window.drg_weight.mean()
""",
    "network/sharing.py": """
@signal(title=T, says=T, unit="patients", riskier="high", default=0, entity="provider")
def shared_patients(network):
    "Patients shared with other providers, counted for each of them."
    return network.shared_patients.sum()
""",
    "claim/amounts.py": """
@signal(title=T, says=T, unit="CNY", riskier="high")
def amount(claim):
    "Amount of the claim."
    return claim.total_amount

@signal(title=T, says=T, unit="days", riskier="high")
def stay(claim):
    "Length of the stay."
    return claim.stay_days
""",
}


def write_room(path: Path) -> Catalogue:
    """A catalogue of signals about providers, their network and claims; the town cannot feed one of them."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "limits.toml").write_text("", "utf-8")
    (path / "sources.toml").write_text("", "utf-8")
    for name, code in _SIGNALS.items():
        file = path / name
        file.parent.mkdir(exist_ok=True)
        head = 'from fraud.signals import signal\n\nT = {"en": "{value}", "zh": "{value}"}\n'
        file.write_text(head + code, "utf-8")
    return load_catalogue(path)


def write_town(path: Path, *, seed: int = 7, outcomes: list[dict[str, Any]] | None = None) -> ClaimsFolder:
    """300 providers with a dozen claims each; every fifth bills more and keeps patients longer."""
    random = np.random.default_rng(seed)
    claims = [c for p in range(PROVIDERS) for c in _claims(p, random)]
    _write(path, "claims", claims)
    _write(path, "outcomes", default_outcomes() if outcomes is None else outcomes)
    return ClaimsFolder(path)


def is_guilty(provider: int) -> bool:
    """Whether a provider overbills."""
    return provider % 5 == 0


def _claims(provider: int, random: np.random.Generator) -> list[dict[str, Any]]:
    guilty = is_guilty(provider)
    return [_claim(provider, i, guilty, random) for i in range(CLAIMS_EACH + int(random.integers(0, 6)))]


def _claim(provider: int, number: int, guilty: bool, random: np.random.Generator) -> dict[str, Any]:
    admitted = START + timedelta(days=int(random.integers(0, DAYS - 20)), hours=int(random.integers(0, 24)))
    stay = int(random.poisson(6 if guilty else 5))
    amount = float(np.round(random.lognormal(8.3 if guilty else 8.0, 0.7), 2))
    return {
        "claim_id": f"C{provider:03d}-{number:02d}",
        "patient_id": f"P{int(random.integers(0, 900)):03d}",
        "provider_id": f"H{provider:03d}",
        "visit_type": "inpatient",
        "admitted_at": admitted,
        "discharged_at": admitted + timedelta(days=stay),
        "settled_at": admitted + timedelta(days=stay, hours=1),
        "primary_diagnosis": f"I1{int(random.integers(0, 5))}",
        "total_amount": amount,
        "fund_amount": float(np.round(amount * random.uniform(0.5, 0.9), 2)),
    }


def outcome(entity: str, entity_id: str, verdict: str, decided_at: datetime, **more: Any) -> dict[str, Any]:
    """One row of outcomes."""
    return {"entity": entity, "entity_id": entity_id, "verdict": verdict, "decided_at": decided_at, **more}


def default_outcomes() -> list[dict[str, Any]]:
    """Verdicts on 280 providers and on a claim of each of 250, and on five providers that are not there."""
    period = {"period_from": START.date(), "period_to": date(2025, 5, 31)}
    providers = [outcome("provider", f"H{p:03d}", verdict_of(p), END, **period) for p in range(280)]
    absent = [outcome("provider", f"X{p}", "false_positive", END) for p in range(5)]
    claims = [
        outcome("claim", f"C{p:03d}-{n:02d}", verdict_of(p), START + timedelta(days=30 + (p * 7 + n * 90) % DAYS))
        for p in range(250)
        for n in (0, 1)
    ]
    return [*providers, *absent, *claims]


def verdict_of(provider: int) -> str:
    """What an investigation found, wrong for one in twenty."""
    return "confirmed_fraud" if is_guilty(provider) != (provider % 20 == 7) else "false_positive"


def _write(path: Path, name: str, rows: list[Mapping[str, Any]] | list[dict[str, Any]]) -> None:
    columns = dict.fromkeys(k for row in rows for k in row)
    with TableWriter(path, name) as writer:
        writer.write({c: [row.get(c) for row in rows] for c in columns})


PROVIDER_SPEC: dict[str, Any] = {
    "name": "provider_risk",
    "entity": "provider",
    "seed": 11,
    "window_days": 600,
    "signals": ["provider.*"],
    "label": {"positive": ["confirmed_fraud", "confirmed_abuse"], "negative": ["false_positive", "appeal_upheld"]},
    "parameters": {"rounds": 25, "bags": 2, "min_data_in_leaf": 10, "learning_rate": 0.1},
    "split": {"folds": 4, "repeats": 2},
    "capacity": {"reviews_per_week": 10, "k": 20},
    "gates": [{"metric": "roc_auc", "op": ">=", "value": 0.6}],
    "leak_alarm": {"roc_auc": 0.99, "single_feature_auc": 0.95},
}
CLAIM_SPEC: dict[str, Any] = PROVIDER_SPEC | {
    "name": "claim_risk",
    "entity": "claim",
    "signals": ["claim.*", "provider.*"],
    "gates": [],
}


def spec(base: Mapping[str, Any] = PROVIDER_SPEC, **changes: Any) -> ModelSpec:
    """A spec with some settings changed."""
    return parse_spec({**base, **changes})
