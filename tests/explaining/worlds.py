"""A small catalogue, frozen peers and two explanations, made by hand, that the tests of this folder share."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fraud.explaining.explanation import (
    Event,
    Explanation,
    Fact,
    Look,
    Month,
    Provenance,
    References,
    peer_standings,
    references_of,
)
from fraud.explaining.reasons import Reason, reasons_of
from fraud.signals.catalogue import Catalogue
from fraud.signals.definition import Signal
from fraud.signals.evidence import Evidence
from fraud.signals.limits import InForce, Limit, Limits, Occasion, Source
from fraud.signals.peers import Peers, learn_peers
from fraud.signals.rules import findings

AS_OF = datetime(2025, 7, 1)
HOSTILE = "<script>alert('x')</script> & \"氯化钠注射液\" {value}"
LONG_ZH = "某某某某某某某某某某某某某某某某市第一人民医院东院区中西医结合康复与长期护理联合病区名称特别长的机构"


def repeated(past):
    """Earlier claims for the same item on the same day.

    Blind spot: items billed under another code.
    """
    return past.count()


def stay(window):
    """Days of stays over the days that their diagnoses usually take.

    Blind spot: a habit that every provider has.
    盲区:同类机构共有的习惯。
    """
    return window.stay_days.sum()


def share(window):
    """Share of claims at weekends."""
    return window.weekend.mean()


def beds(window):
    """Stays beyond the licensed beds."""
    return window.count()


def _signal(function: Any, entity: str, en: str, zh: str, says: tuple[str, str], **settings: Any) -> Signal:
    texts = {"title": {"en": en, "zh": zh}, "says": dict(zip(("en", "zh"), says, strict=True))}
    return Signal(function=function, entity=entity, name=function.__name__, riskier="high", **texts, **settings)


REPEATED = _signal(
    repeated,
    "claim",
    "Repeated items",
    "重复收费",
    (
        "{value:.0f} items were billed again on the same day; at most {limit:.0f} is allowed.",
        "同日重复收费{value:.0f}项,限{limit:.0f}项。",
    ),
    unit="items",
    default=0,
    limit="repeated_items",
    kind="violation",
    severity="serious",
    cites=("decree-735.38.3",),
    excuses={"en": "Two doses were ordered and given.", "zh": "医嘱要求并已执行两次。"},
)
STAY = _signal(
    stay,
    "provider",
    "Length of stay against case mix",
    "住院天数与病种预期之比",
    (
        "Stays last {value:.1f} times what the same diagnoses need (peers: {peer_median:.1f}).",
        "住院天数为同病种预期的{value:.1f}倍(同类{peer_median:.1f}倍)。",
    ),
    unit="times",
    default=1,
    peer=True,
    cites=("decree-735.38.2", "decree-735.38.3"),
    excuses={"en": "A referral centre treats the severest cases.", "zh": "转诊中心收治重症患者。"},
)
SHARE = _signal(
    share,
    "provider",
    "Weekend admissions",
    "周末入院占比",
    ("{value:.1%} of admissions fall on a weekend.", "{value:.1%}的入院发生在周末。"),
    unit="share",
    default=0,
    peer=True,
    excuses={"en": "An emergency hospital.", "zh": "急诊医院。"},
)
BEDS = _signal(
    beds,
    "provider",
    "Stays beyond the licensed beds",
    "超出核定床位的住院",
    (
        "{value:.0f} stays more than beds; the limit is {limit:.0f}.",
        "超出核定床位{value:.0f}人,限{limit:.0f}人。",
    ),
    unit="stays",
    default=0,
    limit="stays_beyond_beds",
    cites=("decree-735.38.2",),
    excuses={"en": "Beds were added and not yet registered.", "zh": "新增床位尚未登记。"},
)
SOURCES = {
    f"decree-735.38.{n}": Source(
        f"decree-735.38.{n}",
        {"en": f"Decree 735, Art. 38({n})", "zh": f"国务院令第735号第三十八条第({n})项"},
        "https://www.nhsa.gov.cn/735",
        date(2021, 5, 1),
    )
    for n in (2, 3)
}


def _limit(name: str, unit: str, value: float) -> Limit:
    source, checked = "decree-735.38.3", date(2025, 3, 2)
    return Limit(name, unit, "REG", source, checked, "how many are allowed", (InForce(date(2021, 5, 1), value),))


CATALOGUE = Catalogue(
    path=Path("features"),
    signals={s.id: s for s in (REPEATED, BEDS, SHARE, STAY)},
    limits=Limits(
        repeated_items=_limit("repeated_items", "items", 0.0),
        stays_beyond_beds=_limit("stays_beyond_beds", "stays", 5.0),
    ),
    sources=SOURCES,
)
PEER_NAMES = ("provider.beds", "provider.share", "provider.stay")
ATTRIBUTES = ("hospital", "tertiary", "3301")
OCCASIONS = {"provider": Occasion(AS_OF, {"care": "3301"})}


def provider_peers(n: int = 200) -> Peers:
    """Frozen peers of hospitals; figures grow evenly, so that medians are plain."""
    steps = np.linspace(0.0, 1.0, n)
    values = np.column_stack([np.floor(steps * 4), steps * 0.4, 0.5 + steps])
    return learn_peers("provider", PEER_NAMES, values, [ATTRIBUTES] * n)


NAMES = (
    "provider.beds",
    "provider.share",
    "provider.stay",
    "provider.share.peer_z",
    "provider.share.peer_percentile",
    "provider.stay.peer_z",
    "provider.stay.peer_percentile",
)
VALUES = np.array([12.0, 0.1, 2.4, -0.5, 25.0, 4.0, 99.5])
CONTRIBUTIONS = np.array([0.5, -0.1, 1.0, -0.15, -0.05, 0.25, 0.5])
BASE = -2.0


def provider_reasons(most: int | None = None) -> tuple[Reason, ...]:
    """Reasons of the provider: beds +0.5, share −0.3, stay +1.75."""
    peers = {"provider": provider_peers()}
    return reasons_of(CATALOGUE, NAMES, VALUES, CONTRIBUTIONS, peers, {"provider": ATTRIBUTES}, most, OCCASIONS)


def provenance(command: str = "fraud report provider H001 --claims DIR") -> Provenance:
    """Where the explanations say that they come from."""
    return Provenance(
        run_id="run-1",
        data_digest="sha256:" + "a" * 64,
        catalogue_digest="sha256:" + "b" * 64,
        generated_at=datetime(2025, 7, 2, 9, 5),
        command=command,
        model_name="provider_risk",
        model_version="7",
        model_alias="champion",
        fitted_on="2025-06-01",
    )


def provider_explanation(**changes: Any) -> Explanation:
    """A provider whose stays are long, with one finding and one rule that could not be evaluated."""
    reasons = provider_reasons()
    values = {"provider.beds": 12.0}
    found = tuple(
        findings(
            CATALOGUE,
            [BEDS, REPEATED],
            values,
            AS_OF.date(),
            {"claim.repeated": "the data lack lines.item_code"},
        )
    )
    rows = pa.table({"claim_id": ["C1", "C2"], "admitted_at": [AS_OF, AS_OF], "total_amount": [1234.5, 86.0]})
    skipped = {"provider.share": "the data lack claims.planned"}
    settings: dict[str, Any] = {
        "entity": "provider",
        "entity_id": "H001",
        "as_of": AS_OF,
        "provenance": provenance(),
        "probability": 0.31,
        "percentile": 99.23,
        "band": "serious",
        "expected_recovery": 12400.0,
        "base": BASE,
        "margin": BASE + float(CONTRIBUTIONS.sum()),
        "reasons": reasons,
        "findings": found,
        "facts": (
            Fact("name", LONG_ZH),
            Fact("kind", "hospital"),
            Fact("claims", 1530),
            Fact("total_amount", 2.5e6),
            Fact("period", (date(2024, 7, 2), date(2025, 6, 28))),
        ),
        "evidence": {"provider.stay": (Evidence(STAY, "window", rows, 40, 52000.0),)},
        "timeline": tuple(Month(date(2025, m, 1), 100 + m, 2e5 + m * 1e4) for m in range(1, 7)),
        "peers": peer_standings(reasons, {"provider": provider_peers()}, {"provider": ATTRIBUTES}),
        "skipped": skipped,
        "references": references_of(CATALOGUE, reasons, found, skipped),
        "currency": "CNY",
    }  # fmt: skip
    return Explanation(**(settings | changes))


def claim_explanation(**changes: Any) -> Explanation:
    """A claim held by a rule of law, with a hostile item name among its lines, and no model."""
    found = tuple(findings(CATALOGUE, [REPEATED], {"claim.repeated": 2.0}, AS_OF.date()))
    lines = pa.table(
        {
            "line_no": [4, 9],
            "item_code": ["XC05BB", "XC05BB"],
            "item_name": [HOSTILE, None],
            "service_at": [datetime(2025, 6, 3, 8, 30), None],
            "quantity": [1.0, float("nan")],
            "amount": [43.0, 43.0],
        }
    )
    visits = (
        Event(date(2025, 5, 2), "outpatient", "H001 · I10", 86.5),
        Event(date(2025, 6, 1), "inpatient", f"H001 · {HOSTILE}", 8600.0, True, date(2025, 6, 9)),
    )
    settings: dict[str, Any] = {
        "entity": "claim",
        "entity_id": "C-9",
        "as_of": datetime(2025, 6, 9, 16, 40),
        "provenance": Provenance(
            "req-1", "sha256:d", "sha256:c", datetime(2025, 6, 9, 16, 41), "fraud report claim C-9"
        ),
        "action": "hold",
        "findings": found,
        "facts": (Fact("patient_id", "P-77"), Fact("name", HOSTILE), Fact("total_amount", 8600.0)),
        "evidence": {"claim.repeated": (Evidence(REPEATED, "lines", lines, 2, 86.0),)},
        "timeline": visits,
        "references": references_of(CATALOGUE, (), found),
        "currency": "CNY",
    }
    return Explanation(**(settings | changes))


OTHERS = ("P-other-1", "P-other-2", "H-other", "D-other", "C-other-1", "C-other-2", "ACCT-other", "key-7f3a")


def crowded_explanation(**changes: Any) -> Explanation:
    """A claim whose report names other patients, institutions, physicians and claims wherever it can."""
    reasons = (
        *(replace(r, entity="provider") for r in provider_reasons()),
        replace(provider_reasons()[0], signal="patient.elsewhere", entity="patient", contribution=0.4),
    )
    day = datetime(2025, 6, 1)
    columns = ("claim_id", "patient_id", "provider_id", "physician_id", "admitted_at", "total_amount")
    past = [
        ("C-9", "P-77", "H001", "D-1", day, 8600.0),
        ("C-other-1", "P-77", "H-other", "D-other", day, 55.5),
        ("C-other-2", "P-other-1", "H001", "D-1", day, 66.6),
        ("C-none", None, None, None, day, None),
    ]
    rows = pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in past])
    ties = {"other_id": ["P-other-2"], "shared_patients": [3.0], "payee_account": ["ACCT-other"]}
    items = {"claim_id": ["C-9", "C-other-1"], "line_no": [1, 2], "item_name": ["=HYPERLINK(1)", "H-other"]}
    settings: dict[str, Any] = {
        "facts": (
            Fact("provider_id", "H001"),
            Fact("patient_id", "P-77"),
            Fact("physician_id", "D-1"),
            Fact("total_amount", 8600.0),
        ),
        "base": BASE,
        "margin": BASE + sum(r.contribution for r in reasons),
        "probability": 0.31,
        "percentile": 99.0,
        "band": "serious",
        "expected_recovery": 1240.0,
        "reasons": reasons,
        "evidence": {
            "claim.repeated": (
                Evidence(REPEATED, "past", rows, 9, 8722.1),
                Evidence(REPEATED, "past_lines", pa.table(items), 2, 10.0),
                Evidence(REPEATED, "network", pa.table(ties), 1, None),
            ),
            "patient.elsewhere": (Evidence(STAY, "window", pa.table({"claim_id": ["C-other-2"]}), 1, None),),
        },
        "timeline": (
            Event(date(2025, 5, 2), "outpatient", "H-other · I10", 86.5, False, None, "H-other", "C-other-1"),
            Event(date(2025, 6, 1), "inpatient", "H001 · I10", 8600.0, True, date(2025, 6, 9), "H001", "C-9"),
        ),
        "peers": peer_standings(reasons, {"provider": provider_peers()}, {"provider": ATTRIBUTES}),
        "provenance": replace(provenance("fraud report claim C-9"), looks=(Look(AS_OF, "key-7f3a", "investigator"),)),
        "references": References(
            sources=SOURCES, titles={"claim.repeated": REPEATED.title}, records={"claim.repeated": ("orders", "visits")}
        ),
    }  # fmt: skip
    return claim_explanation(**(settings | changes))
