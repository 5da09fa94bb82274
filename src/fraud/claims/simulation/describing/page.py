"""One HTML page that shows a simulated payer: it works offline, in the dark, on a phone and on paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fraud.claims.schema import TABLES
from fraud.claims.simulation.describing.guilt import SchemeRow, guilt_pictures, label_table, scheme_rows
from fraud.claims.simulation.describing.innocents import Innocent, innocents
from fraud.claims.simulation.describing.leaks import Leak, leaks
from fraud.claims.simulation.describing.margins import Margin, of_payer
from fraud.claims.simulation.describing.opening import Payer, opened
from fraud.claims.simulation.describing.pictures import Picture, pictures
from fraud.claims.violations import violation_names

__all__ = ["describe"]

PACKAGE = "fraud.claims.simulation.describing"

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class _Seen:
    """Everything that the page shows."""

    payer: dict[str, Any]
    tables: list[dict[str, Any]]
    margins: list[Margin]
    pictures: list[Picture]
    innocents: list[Innocent]
    schemes: list[SchemeRow]
    guilt: list[Picture]
    labels: list[dict[str, Any]]
    leaks: Sequence[Leak]


def describe(
    folder: str | Path, to: str | Path | None = None, *, with_leaks: bool = False, progress: Progress | None = None
) -> Path:
    """The file that was written: one page about the payer in the folder, `<folder>.html` unless told otherwise.

    The truth beside the folder is shown where it is there. `with_leaks` adds the proofs of `leaks`, which take
    some seconds.

    Raises:
        ClaimsError: the folder holds no claims.
    """
    target = Path(to) if to is not None else Path(f"{folder}.html")
    report = progress or (lambda stage, share: None)
    report("looking for leaks" if with_leaks else "reading claims", 0.0)
    checked = leaks(folder) if with_leaks else ()
    with opened(folder) as payer:
        seen = _seen(payer, checked, report)
    report("writing the page", 0.95)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_html(seen), "utf-8")
    report("done", 1.0)
    return target


def _seen(payer: Payer, checked: Sequence[Leak], report: Progress) -> _Seen:
    report("comparing with published figures", 0.4)
    found = list(of_payer(payer))
    report("drawing care", 0.5)
    care = pictures(payer)
    report("drawing schemes", 0.8)
    schemes = scheme_rows(payer)
    return _Seen(
        payer=_facts(payer),
        tables=_tables(payer),
        margins=found,
        pictures=care,
        innocents=innocents(payer),
        schemes=schemes,
        guilt=guilt_pictures(payer) if schemes else [],
        labels=label_table(payer) if schemes else [],
        leaks=checked,
    )


def _facts(payer: Payer) -> dict[str, Any]:
    """What the head of the page says; the manifest knows the preset and the seed of a simulated payer."""
    facts = payer.rows("""
        SELECT count(*) AS claims, min(admitted_at)::DATE::VARCHAR AS first, max(settled_at)::DATE::VARCHAR AS last,
            sum(total_amount) AS total, sum(fund_amount) AS fund FROM claims""")[0]
    false = payer.one("SELECT count(DISTINCT claim_id) FROM true_claims")
    manifest = payer.folder.manifest
    return facts | {
        "preset": manifest.get("preset"),
        "seed": manifest.get("seed"),
        "has_truth": payer.has_truth,
        "false_share": false / facts["claims"] if facts["claims"] else 0.0,
        "false_amount": payer.one("SELECT coalesce(sum(amount), 0) FROM true_claims"),
    }


def _tables(payer: Payer) -> list[dict[str, Any]]:
    return [
        {"name": t.name, "grain": t.grain, "rows": payer.one(f'SELECT count(*) FROM "{t.name}"')}
        for t in TABLES.values()
    ]


# --- writing --------------------------------------------------------------------------------------------


def _html(seen: _Seen) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(PACKAGE, ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "count": lambda number: f"{number:,.0f}",
        "percent": _percent,
        "words": lambda name: name.replace("_", " "),
        "figure": _figure,
        "band": _band,
        "auc": lambda value: f"{value:.3f}",
        "violation": _violation,
    }
    return environment.get_template("page.html.j2").render(seen=seen, verdicts=_verdicts(seen))


def _verdicts(seen: _Seen) -> dict[str, int]:
    """How many margins and comparisons came out how."""
    found = [m.verdict for m in seen.margins] + [leak.verdict for leak in seen.leaks]
    return {verdict: found.count(verdict) for verdict in (*found, "in band", "not computed", "leak", "none", "trace")}


def _percent(share: float | None) -> str:
    """A share that is neither all nor nothing never reads as 0 % or 100 %."""
    if share is None:
        return "–"
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 < share < 1:
        return "> 99.9 %"
    return f"{share:.1%}".replace("%", " %")


def _figure(value: float | None, unit: str = "") -> str:
    """A figure to three digits; shares as per cent."""
    if value is None:
        return "–"
    if unit in ("share", "ratio", "proportion"):
        return _percent(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _band(margin: Margin, value: float) -> float:
    """Where a value lies on a bar whose middle half is the band, in per cent from the left."""
    width = (margin.high - margin.low) or 1.0
    return min(max(25 + 50 * (value - margin.low) / width, 1.5), 98.5)


def _violation(code: str) -> tuple[str, str]:
    """The type of violation in English and Chinese; an unknown code has no words."""
    name = violation_names().get(code, {"en": "", "zh": ""})
    return name["en"], name["zh"]
