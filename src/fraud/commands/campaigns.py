"""Campaigns at the command line: open one, record self-checks and rectification, decide, close, write the paper."""

from __future__ import annotations

import getpass
import mimetypes
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fraud.commands.console import data, note, print_json, print_table, progress
from fraud.commands.keys import AsJson, By, who
from fraud.config import Settings, load_settings
from fraud.errors import InputError

if TYPE_CHECKING:
    from fraud.review.campaigns import Campaigns, File, Inspected, Overview
    from fraud.review.cases import Actor

__all__ = ["app"]

app = typer.Typer(help="Campaigns: self-check, rectification and acceptance of providers.", no_args_is_help=True)
CampaignId = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="Its number, as `fraud campaigns list` shows it.")]
ProviderId = Annotated[str, typer.Argument(metavar="PROVIDER", help="The id of a provider in the campaign.")]
Attached = Annotated[Path | None, typer.Option("--file", help="A file of at most 10 MiB; its SHA-256 is kept.")]
Remark = Annotated[str, typer.Option("--remark", help="What else is to be known.")]
Working = Annotated[int | None, typer.Option("--days", min=1, help="Working days; default: those of the phase.")]


@contextmanager
def _opened(settings: Settings, rules: Container[str] | None = None) -> Iterator[Campaigns]:
    from fraud.review.campaigns import Campaigns
    from fraud.store import Store

    with Store(settings.database_url) as store:
        yield Campaigns(store, datetime.now, rules=rules)


def _actor(by: str | None) -> Actor:
    """Whoever is at the terminal: who can open the database may lead."""
    from fraud.review.cases import Actor

    return Actor(who(by), by or getpass.getuser(), "supervisor")


def _tell(campaigns: Campaigns, what: str, actor: Actor, *numbers: str) -> None:
    """Tell the ledger who looked."""
    from fraud.store.ledger import Event, Record

    campaigns.ledger.add(*(Event(what, actor.id, Record("campaign", n)) for n in numbers))


def _read(path: Path | None) -> File | None:
    from fraud.review.campaigns import File

    if path is None:
        return None
    if not path.is_file():
        raise InputError(f"{path}: there is no such file. Name one that can be read.")
    return File(path.name, mimetypes.guess_type(path.name)[0] or "application/octet-stream", path.read_bytes())


@app.command("list")
def list_(
    overdue: Annotated[bool, typer.Option("--overdue", help="Only those with something overdue.")] = False,
    as_json: AsJson = False,
) -> None:
    """List campaigns with how far they have come.

    \b
    fraud campaigns list
    fraud campaigns list --overdue --json
    """
    with _opened(load_settings()) as campaigns:
        found = [o for o in campaigns.all() if o.standing.overdue or not overdue]
        _tell(campaigns, "campaign.listed", _actor(None), *(o.campaign.campaign_id for o in found))
    if as_json:
        print_json([asdict(o.campaign) | {"standing": _standing(o)} for o in found])
        return
    head = ("campaign", "title", "phase", "providers", "finished", "overdue", "less declared", "found", "declared")
    print_table(head, [_line(o) for o in found])


def _standing(seen: Overview) -> dict[str, Any]:
    return asdict(seen.standing) | {"finished": seen.standing.finished}


def _line(seen: Overview) -> tuple[object, ...]:
    s = seen.standing
    money = (f"{s.found_amount:,.0f}", f"{s.declared_amount:,.0f}")
    own = (seen.campaign.campaign_id, seen.campaign.title, s.phase.replace("_", "-"))
    return (*own, s.providers, s.finished, s.overdue, s.less, *money)


@app.command("open")
def open_(
    title: Annotated[str, typer.Argument(help="What it is called.")],
    basis: Annotated[str, typer.Option("--basis", help="The legal basis.")],
    since: Annotated[datetime, typer.Option("--from", help="First day of settlement of the claims that count.")],
    until: Annotated[datetime, typer.Option("--until", help="Last day.")],
    violation: Annotated[list[str] | None, typer.Option(help="Type of violation, as T07; default: all.")] = None,
    provider: Annotated[
        list[str] | None, typer.Option(help="Whom to inspect; default: where such findings were made.")
    ] = None,
    region: Annotated[list[str] | None, typer.Option(help="Only of this region; 33* for a whole province.")] = None,
    days: Annotated[
        str, typer.Option(help="Working days of announcement, self-check, rectification, acceptance.")
    ] = "3,10,20,5",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Open a campaign: what was found at each provider in the period is counted and kept.

    \b
    fraud campaigns open "Imaging" --basis "Decree 735" --from 2026-01-01 --until 2026-06-30 --violation T07
    fraud campaigns open "Pharmacies" --basis "Notice 14" --from 2026-01-01 --until 2026-03-31 --provider H001
    """
    from fraud.review.campaigns import PHASES, Announcement

    parts = days.split(",")
    if len(parts) != len(PHASES) or not all(p.strip().isdigit() for p in parts):
        raise InputError(f"--days is {len(PHASES)} whole numbers between commas, as 3,10,20,5, not {days[:40]!r}.")
    said = Announcement(
        title, basis, since.date(), until.date(), tuple(violation or ()), tuple(provider or ()), tuple(region or ()),
        dict(zip(PHASES, map(int, parts), strict=True)),
    )  # fmt: skip
    actor = _actor(by)
    with progress(quiet=as_json) as step, _opened(load_settings()) as campaigns:
        step("what was found", 0.0)
        opened = campaigns.open(said, actor)
        seen = campaigns.get(opened.campaign_id, actor)
    if as_json:
        print_json(asdict(seen.campaign) | {"standing": _standing(seen)})
    else:
        data(f"{opened.campaign_id}: {seen.standing.providers} providers, {seen.standing.found:,} claims with findings")


@app.command()
def show(
    campaign_id: CampaignId,
    provider_id: Annotated[str | None, typer.Argument(metavar="[PROVIDER]", help="One of its providers.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Print a campaign with its providers, or one of them with all that was done.

    \b
    fraud campaigns show CMP-20260302-1A2B3C
    fraud campaigns show CMP-20260302-1A2B3C H001 --json
    """
    actor = _actor(by)
    with _opened(load_settings()) as campaigns:
        seen = campaigns.get(campaign_id, actor)
        dossier = campaigns.dossier(campaign_id, provider_id, actor) if provider_id else None
        _tell(campaigns, "campaign.read", actor, seen.campaign.campaign_id)
        now = campaigns.clock()
    if dossier is not None:
        _show_provider(asdict(dossier), as_json)
    elif as_json:
        rows = [asdict(r) | {"overdue": r.overdue(now), "declared_less": r.declared_less} for r in seen.rows]
        history = [asdict(e) for e in seen.history]
        print_json(asdict(seen.campaign) | {"standing": _standing(seen), "providers": rows, "history": history})
    else:
        _show_campaign(seen, now)


def _show_campaign(seen: Overview, now: datetime) -> None:
    print_table(("", ""), [(k, v) for k, v in asdict(seen.campaign).items() if v not in (None, "", ())])
    head = ("provider", "state", "due", "found", "amount", "declared", "amount", "")
    print_table(head, [_provider_line(r, now) for r in seen.rows], title="Providers")
    if seen.unknown_years:
        years = ", ".join(map(str, seen.unknown_years))
        note(f"The public holidays of {years} are not known here: Monday to Friday are counted as working days.")


def _provider_line(row: Inspected, now: datetime) -> tuple[object, ...]:
    declared = ("", "") if row.declared_count is None else (row.declared_count, f"{row.declared_amount:,.0f}")
    marks = ("overdue" if row.overdue(now) else "", "less than found" if row.declared_less else "")
    due = f"{row.due_at:%Y-%m-%d}" if row.due_at else ""
    found = (row.found.with_findings, f"{row.found.amount:,.0f}")
    return (row.provider_id, row.state.replace("_", "-"), due, *found, *declared, ", ".join(m for m in marks if m))


def _show_provider(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(told | {"files": [f | {"digest": f["digest"]} for f in told["files"]]})
        return
    print_table(("", ""), [(k, v) for k, v in told["row"].items() if v not in (None, "", ())])
    tasks = [(t["number"], t["action"], t["text"], t["responsible"], t["due_at"], t["done_at"]) for t in told["tasks"]]
    print_table(("", "action", "what", "who", "due", "done"), tasks, title="Tasks")
    history = [
        (e["number"], f"{e['at']:%Y-%m-%d %H:%M}", e["who"], e["what"], e["state_after"]) for e in told["history"]
    ]
    print_table(("", "at", "who", "what", "then"), history, title="History")


def _changed(row: Inspected, as_json: bool) -> None:
    """Say how a provider stands then."""
    if as_json:
        print_json(asdict(row))
    else:
        due = f", due {row.due_at:%Y-%m-%d}" if row.due_at else ""
        data(f"{row.provider_id} in {row.campaign_id}: {row.state.replace('_', '-')}{due}")


@app.command()
def tell(
    campaign_id: CampaignId,
    provider_id: Annotated[str | None, typer.Argument(metavar="[PROVIDER]", help="Default: all of them.")] = None,
    remark: Remark = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Note that a provider, or every one, was told to check itself.

    \b
    fraud campaigns tell CMP-20260302-1A2B3C
    fraud campaigns tell CMP-20260302-1A2B3C H001 --remark "by registered letter"
    """
    from fraud.review.campaigns import workflow

    actor = _actor(by)
    with _opened(load_settings()) as campaigns:
        if provider_id is None:
            count = campaigns.tell_all(campaign_id, actor)
            print_json({"told": count}) if as_json else data(f"{count} providers were told")
            return
        row = campaigns.change(campaign_id, provider_id, actor, lambda row, at: workflow.tell(row, actor, at, remark))
    _changed(row, as_json)


@app.command()
def declare(
    campaign_id: CampaignId,
    provider_id: ProviderId,
    count: Annotated[int | None, typer.Option("--count", min=0, help="Claims that it found wrong itself.")] = None,
    amount: Annotated[float | None, typer.Option("--amount", min=0, help="Money in them.")] = None,
    nothing: Annotated[str, typer.Option("--nothing", help="It declared nothing in its time: what was done.")] = "",
    file: Attached = None,
    remark: Remark = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Record what a provider declares after its self-check, or that it declared nothing in its time.

    \b
    fraud campaigns declare CMP-20260302-1A2B3C H001 --count 12 --amount 3400 --file letter.pdf
    fraud campaigns declare CMP-20260302-1A2B3C H002 --nothing "reminded twice"
    """
    from fraud.review.campaigns import workflow

    actor, handed_in = _actor(by), _read(file)
    with _opened(load_settings()) as campaigns:
        row = campaigns.change(
            campaign_id,
            provider_id,
            actor,
            lambda row, at: (
                workflow.undeclared(row, actor, at, nothing)
                if nothing
                else workflow.declare(row, actor, at, count, amount, remark, handed_in)
            ),
        )
    _changed(row, as_json)


@app.command()
def task(
    campaign_id: CampaignId,
    provider_id: ProviderId,
    done: Annotated[int | None, typer.Option("--done", min=1, help="The number of a task that is done.")] = None,
    cause: Annotated[str, typer.Option("--cause", help="Root cause.")] = "",
    action: Annotated[str, typer.Option("--action", help="rectification_plan, sanction_plan, training, …")] = "",
    text: Annotated[str, typer.Option("--text", help="What is done.")] = "",
    responsible: Annotated[str, typer.Option("--responsible", help="Who answers for it.")] = "",
    case: Annotated[list[str] | None, typer.Option(help="A case that it follows from.")] = None,
    rule: Annotated[list[str] | None, typer.Option(help="A rule that it changes.")] = None,
    model: Annotated[str | None, typer.Option(help="The version of a model that it brings.")] = None,
    days: Working = None,
    nothing: Annotated[str, typer.Option("--nothing", help="Nothing is to be put right: why.")] = "",
    file: Attached = None,
    remark: Remark = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Enter what is to be put right, or that it is done, or that nothing is.

    \b
    fraud campaigns task CMP-20260302-1A2B3C H001 --cause haste --action training --text "…" --responsible ward
    fraud campaigns task CMP-20260302-1A2B3C H001 --done 1 --file list.pdf
    fraud campaigns task CMP-20260302-1A2B3C H002 --nothing "the findings were mistaken"
    """
    from fraud.review.campaigns import Plan, workflow
    from fraud.review.campaigns.workflow import Moment, Step
    from fraud.signals.catalogue import load_catalogue

    actor, handed_in = _actor(by), _read(file)
    plan = Plan(cause, action, text, responsible, tuple(case or ()), tuple(rule or ()), model, days)

    def step(row: Inspected, at: Moment) -> Step:
        if done is not None:
            return workflow.finish(row, actor, at, done, remark, handed_in)
        return workflow.submit(row, actor, at, nothing) if nothing else workflow.plan(row, actor, at, plan)

    settings = load_settings()
    with _opened(settings, load_catalogue(settings.features).signals if rule else None) as campaigns:
        row = campaigns.change(campaign_id, provider_id, actor, step)
    _changed(row, as_json)


@app.command()
def accept(
    campaign_id: CampaignId,
    provider_id: ProviderId,
    decision: Annotated[str, typer.Option("--decision", help="accepted, returned or referred.")] = "accepted",
    reason: Annotated[str, typer.Option("--reason", help="Why it is returned or referred.")] = "",
    days: Working = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Decide on a provider's rectification: somebody who entered none of it does.

    \b
    fraud campaigns accept CMP-20260302-1A2B3C H001 --by office-2
    fraud campaigns accept CMP-20260302-1A2B3C H001 --decision returned --reason "no list of names" --days 5
    """
    with progress(quiet=as_json) as step, _opened(load_settings()) as campaigns:
        step("what is found now", 0.0)
        row = campaigns.decide(campaign_id, provider_id, _actor(by), decision, reason, days)
    _changed(row, as_json)


@app.command()
def close(
    campaign_id: CampaignId,
    reason: Annotated[str, typer.Option("--reason", help="Needed while providers are not decided.")] = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Close a campaign.

    \b
    fraud campaigns close CMP-20260302-1A2B3C
    """
    with _opened(load_settings()) as campaigns:
        closed = campaigns.close(campaign_id, _actor(by), reason)
    print_json(asdict(closed)) if as_json else data(f"{closed.campaign_id} is closed")


@app.command()
def paper(
    campaign_id: CampaignId,
    out: Annotated[Path | None, typer.Option("--out", help="File to write; its ending names the format.")] = None,
    form: Annotated[str | None, typer.Option("--format", help="html, pdf, xlsx or json; default: as OUT ends.")] = None,
    locale: Annotated[str | None, typer.Option(help="en or zh; default: that of fraud.toml.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Write the paper of a campaign: phases, providers, what was put right and whether it helped.

    \b
    fraud campaigns paper CMP-20260302-1A2B3C --locale zh --out campaign.pdf
    """
    from fraud.commands.models import check_locale
    from fraud.commands.report import format_of
    from fraud.explaining.report import render_document
    from fraud.signals.catalogue import load_catalogue

    settings, actor = load_settings(), _actor(by)
    chosen = "json" if as_json else format_of(form, out)
    spoken = check_locale(locale or settings.locale)
    with progress(quiet=as_json) as step, _opened(settings) as campaigns:
        step("paper", 0.0)
        document = campaigns.paper(campaign_id, actor, load_catalogue(settings.features), spoken)
        _tell(campaigns, "campaign.exported", actor, campaign_id.upper())
        rendered = render_document(document, chosen)
    if as_json:
        data(rendered.decode())
        return
    path = out or Path(f"{campaign_id.upper()}.{chosen}")
    path.write_bytes(rendered)
    data(str(path))
