"""Registered models: list, promote, roll back, shadow, and their cards."""

from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from fraud.commands.console import data, note, print_json, print_table, progress
from fraud.commands.keys import who
from fraud.commands.ledger import write_down
from fraud.commands.models import AsJson, Claims, check_locale, tracking
from fraud.config import Settings, load_settings
from fraud.errors import InputError

__all__ = ["card", "models", "promote", "rollback", "shadow"]

Model = Annotated[str, typer.Argument(help="Name of a registered model, as provider_risk.")]
By = Annotated[str | None, typer.Option("--by", help="Who asks for it; default: the user of this session.")]
ApprovedBy = Annotated[str, typer.Option("--approved-by", help="The second person, who must be somebody else.")]
_FIGURES = ("average_precision", "precision_at_k")


def models(
    model: Annotated[str | None, typer.Argument(help="Name of one model, to see its history too.")] = None,
    as_json: AsJson = False,
) -> None:
    """List registered models: versions, aliases, figures, and who made which champion and why.

    \b
    fraud models
    fraud models provider_risk
    """
    registry = _registry(load_settings())
    names = [model] if model else list(registry.names())
    found = {n: (registry.versions(n), registry.changes(n)) for n in names}
    if as_json:
        told = [
            {"name": n, "versions": [v.as_dict() for v in vs], "changes": [c.as_dict() for c in cs]}
            for n, (vs, cs) in found.items()
        ]
        print_json(told)
        return
    if not found:
        note("No model is registered yet. Make one with: fraud train MODEL --claims DIR")
        return
    head = ("model", "version", "alias", "trained", "outcomes up to", "AP", "precision", "gates")
    print_table(head, [_row(v) for versions, _ in found.values() for v in versions])
    for name, (_, changes) in found.items():
        for c in changes if model else changes[-1:]:
            data(_told(name, c))


def promote(
    model: Model,
    claims: Claims,
    approved_by: ApprovedBy,
    reason: Annotated[str, typer.Option("--reason", help="Why; required when no figure is better beyond chance.")] = "",
    by: By = None,
    version: Annotated[str, typer.Option("--version", help="Alias or number of the version.")] = "challenger",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge, and change and write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare a challenger with the champion on the same claims, and make it champion when all conditions hold.

    \b
    fraud promote provider_risk --claims claims/ --approved-by "A. Second" --reason "A quarter more outcomes"

    The decision is written to the model's run and to var/promotions. Exit code 3 with every reason when refused.
    """
    from fraud.claims.folder import ClaimsFolder
    from fraud.learning.governance.promotion import promote as decide
    from fraud.learning.spec import load_spec
    from fraud.signals.catalogue import load_catalogue

    settings = load_settings()
    file = settings.models / f"{model}.toml"
    with progress(quiet=as_json) as step:
        found = decide(
            _registry(settings),
            model,
            _request(by, approved_by, reason),
            ClaimsFolder(claims),
            load_catalogue(settings.features),
            version=version,
            # A model of another room has no spec here; its own gates are judged all the same.
            spec=load_spec(file) if file.is_file() else None,
            papers=_papers(settings),
            trial=dry_run,
            progress=step,
        )
    if as_json:
        print_json(found.as_dict())
    else:
        _show(found)
        if not dry_run:
            note(f"Paper: {_papers(settings) / found.stem}.en.html (.zh.html, .md, .json)")
    found.check()
    if not dry_run:
        told = {"model": model, "version": found.challenger.version, "approved_by": approved_by}
        write_down(settings, "model.promoted", who(by), reason, **told)
    if not as_json:
        data(
            f"{model} version {found.challenger.version} {'would be' if dry_run else 'is'} champion."
            + ("" if dry_run else " A service answers with it from its next start.")
        )


def rollback(
    model: Model,
    approved_by: ApprovedBy,
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Make the version champion again that was so before; twice in a row goes back two.

    \b
    fraud rollback claim_risk --approved-by "A. Second" --reason "Hit rate fell to half within a week"
    """
    from fraud.learning.governance.promotion import rollback as go_back
    from fraud.signals.catalogue import load_catalogue

    settings = load_settings()
    catalogue = load_catalogue(settings.features)
    request = _request(by, approved_by, reason)
    change = go_back(_registry(settings), model, request, catalogue, _papers(settings))
    write_down(settings, "model.rolled_back", who(by), reason, model=model, approved_by=approved_by)
    if as_json:
        print_json({"model": model, **change.as_dict()})
        return
    data(f"{_told(model, change)}\nA service answers with it from its next start.")


def shadow(
    model: Model,
    version: Annotated[str, typer.Option("--version", help="Alias or number of the version.")] = "challenger",
    off: Annotated[bool, typer.Option("--off", help="Let no version score in the shadow any more.")] = False,
) -> None:
    """Let a version score beside the champion without changing any answer.

    \b
    fraud shadow claim_risk --version challenger
    fraud shadow claim_risk --off
    """
    from fraud.learning.validation.gates import SHADOW

    registry = _registry(load_settings())
    if off:
        registry.version(model, SHADOW)
        registry.set_alias(model, SHADOW, None)
        data(f"{model}: no version scores in the shadow.")
        return
    chosen = registry.version(model, version)
    if "champion" in chosen.aliases:
        raise InputError(f"{model} version {chosen.number} is champion: its shadow would always say the same.")
    registry.set_alias(model, SHADOW, chosen.number)
    data(f"{model} version {chosen.number} scores in the shadow. A service does so from its next start.")


def card(
    model: Model,
    version: Annotated[str, typer.Option("--version", help="Alias or number of the version.")] = "champion",
    locale: Annotated[str | None, typer.Option(help="en or zh; default: that of fraud.toml.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write, .html or .md; default: Markdown here.")
    ] = None,
) -> None:
    """Write the card of a model: data, use, limits, fairness, calibration, what drives it, how to make it again.

    \b
    fraud card provider_risk --locale zh --out card.html
    """
    from fraud.learning.reports.cards import card as page_of
    from fraud.learning.reports.documents import to_html, to_markdown

    settings = load_settings()
    spoken = check_locale(locale or settings.locale)
    if out is not None and out.suffix not in (".html", ".md"):
        raise InputError(f"{out}: a card is written as .html or .md.")
    page = page_of(_facts(settings, model, version), spoken)
    text = to_html(page) if out is not None and out.suffix == ".html" else to_markdown(page)
    if out is None:
        data(text)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, "utf-8")
    data(str(out))


def _facts(settings: Settings, model: str, version: str) -> Any:
    """What the card of a registered version is made of."""
    from fraud.learning import load_model
    from fraud.learning.reports.cards import Facts
    from fraud.learning.tracking import latest_backtest, text_of
    from fraud.signals.catalogue import load_catalogue

    registry = _registry(settings)
    found = registry.version(model, version)
    fitted = load_model(model, version, registry.tracking_uri)
    files = {f: text_of(registry.tracking_uri, found.run_id, f) or "{}" for f in ("report.json", "environment.json")}
    return Facts(
        model=fitted,
        report=json.loads(files["report.json"]),
        signals=load_catalogue(settings.features).signals,
        environment=json.loads(files["environment.json"]) | {"lock": found.tags.get("lock_digest", "")},
        changes=[c.as_dict() for c in registry.changes(model) if c.version == found.number],
        backtest=latest_backtest(registry.tracking_uri, model),
    )


def _registry(settings: Settings) -> Any:
    from fraud.learning.registry import Registry

    return Registry(tracking(settings))


def _request(by: str | None, approved_by: str, reason: str) -> Any:
    from fraud.learning.governance.promotion import Request

    return Request(by=by or getpass.getuser(), approved_by=approved_by, reason=reason, at=datetime.now(UTC))


def _papers(settings: Settings) -> Path:
    return settings.var / "promotions"


def _row(v: Any) -> tuple[object, ...]:
    figures = [round(v.figures[m], 3) if m in v.figures else None for m in _FIGURES]
    told = (f"{v.created_at:%Y-%m-%d}", v.tags.get("as_of", "")[:10])
    return (v.name, v.number, ", ".join(v.aliases), *told, *figures, v.tags.get("gates", ""))


def _told(name: str, c: Any) -> str:
    """One change of champion in a sentence."""
    day = c.at[:10]
    if c.kind == "first":
        return f"{name} version {c.version} was the first whose gates held ({day})."
    verb = "went back to" if c.kind == "rollback" else "was promoted to"
    before = f" from {c.before}" if c.before else ""
    why = f": {c.reason}" if c.reason else ""
    return f"{name} {verb} version {c.version}{before} on {day}, asked by {c.by}, approved by {c.approved_by}{why}"


def _show(decision: Any) -> None:
    """The comparison and the gates, for a terminal."""
    if decision.comparison is None:
        note(f"Nothing to compare with: {decision.note or 'it is the champion itself'}.")
    else:
        found = decision.comparison
        how = {"after": "since both were fitted", "latest": "latest months", "folds": "same folds, not later in time"}
        again = f", {' and '.join(found.refitted)} fitted again" if found.refitted and found.cut else ""
        rows = f"{found.rows:,} rows, {found.decided:,} decided, {found.positive:,} positive"
        title = f"{how[found.protocol]}{f', from {found.cut}' if found.cut else ''}{again}: {rows}"
        print_table(("", "champion", "challenger", "difference", "95 % interval", "challenger is"), _rows(found), title)
    for gate in decision.gates:
        data(f"  • {gate}")


def _rows(comparison: Any) -> list[tuple[object, ...]]:
    return [
        (
            d["metric"].replace("_", " ") + ("" if d["judged"] else " (told)"),
            *(None if d[k] is None else round(d[k], 4) for k in ("champion", "challenger", "difference")),
            "not known" if d["low"] is None else f"{d['low']:+.4f} to {d['high']:+.4f}",
            d["verdict"],
        )
        for d in comparison.as_dict()["differences"]
    ]
