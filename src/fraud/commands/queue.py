"""The reviewers' list of the week."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fraud.commands.console import data, note, print_json, print_table, progress
from fraud.commands.models import check_locale, load_fitted
from fraud.config import load_settings

if TYPE_CHECKING:
    from fraud.review.queue import Queue

__all__ = ["queue"]


def queue(
    claims: Annotated[Path, typer.Option("--claims", help="Folder with the canonical tables.")],
    model: Annotated[str, typer.Option("--model", help="Name of a registered model.")] = "claim_risk",
    version: Annotated[str, typer.Option("--version", help="Alias or number of the version.")] = "champion",
    hours: Annotated[float | None, typer.Option(min=0, help="Hours of review; default: those of fraud.toml.")] = None,
    as_of: Annotated[
        datetime | None, typer.Option(help="First day of the week; default: after the last claim.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="CSV file to write.")] = None,
    seed: Annotated[int | None, typer.Option(help="Draws the random cases; default: the day.")] = None,
    locale: Annotated[str | None, typer.Option(help="Language of the reasons: en or zh.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """Print the week's list: the cases that bring back most in the hours there are, with reasons.

    \b
    fraud queue --claims claims/ --hours 40
    fraud queue --claims claims/ --model provider_risk --hours 80 --out week.csv --locale zh

    One case in twenty is drawn at random from all the others, so that labels stay honest: look at it as at any other.
    """
    from fraud.claims.folder import ClaimsFolder
    from fraud.review.candidates import candidates_of
    from fraud.review.queue import build_queue, rules_of_settings
    from fraud.signals.catalogue import load_catalogue

    settings = load_settings()
    catalogue = load_catalogue(settings.features)
    known = {s.violation for s in catalogue.signals.values() if s.violation}
    rules, spoken = rules_of_settings(settings.review, known), check_locale(locale or settings.locale)
    folder, fitted = ClaimsFolder(claims), load_fitted(settings, model, version)
    with progress(quiet=as_json) as step:
        day, candidates = candidates_of(
            folder, fitted, catalogue, rules, as_of=as_of, hours=hours, locale=spoken, progress=step
        )
        step("choosing", 0.0)
        drawn_by = int(f"{day:%Y%m%d}") if seed is None else seed
        found = build_queue(candidates, rules, as_of=day, seed=drawn_by, hours=hours)
    if out:
        _write(found, out)
    if as_json:
        print_json(found.as_dict())
    else:
        _show(found, out)


def _show(found: Queue, out: Path | None) -> None:
    rows = [
        (
            c.place,
            c.candidate.entity_id,
            c.candidate.violation or "",
            _between(c.candidate.probability_low, c.candidate.probability, c.candidate.probability_high),
            f"{c.candidate.expected_recovery:,.0f}",
            f"{c.hours:g}",
            "random" if c.selected_by == "random" else "",
            c.candidate.reasons[0] if c.candidate.reasons else "",
        )
        for c in found.cases
    ]
    head = ("", "id", "type", "probability", "expected recovery", "hours", "drawn", "first reason")
    print_table(head, rows, title=f"Week of {found.as_of:%Y-%m-%d}")
    random = sum(c.selected_by == "random" for c in found.cases)
    how = "no other list could bring back more" if found.method == "exact" else f"within {found.gap:.1%} of the best"
    data(
        f"{len(found.cases)} cases in {found.hours:g} hours, {random} of them drawn at random from {found.others:,} "
        f"others; expected recovery {found.expected_recovery:,.0f} ({how})"
    )
    for why, count in found.left_out.items():
        note(f"  • {count:,} left out: {why}")
    if out:
        data(str(out))


def _between(low: float | None, middle: float, high: float | None) -> str:
    return f"{middle:.2f}" if low is None or high is None else f"{middle:.2f} ({low:.2f}–{high:.2f})"


def _write(found: Queue, out: Path) -> None:
    """The list as CSV, one row for each case; opened by spreadsheets in any language."""
    rows = [case.as_dict() | {"reasons": " | ".join(case.candidate.reasons)} for case in found.cases]
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["place"])
        writer.writeheader()
        writer.writerows(rows)
