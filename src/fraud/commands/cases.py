"""Cases at the command line: the queue, one case, the week's plan, assignment, the archive to hand over."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
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
    from fraud.review.cases import Actor, Case, Casework, Planned
    from fraud.review.cases.workflow import Moment, Step
    from fraud.store import Store
    from fraud.store.ledger import Event

__all__ = ["app"]

app = typer.Typer(help="Cases: the investigators' queue and its workflow.", no_args_is_help=True)
CaseId = Annotated[str, typer.Argument(metavar="CASE", help="The number of the case, as `fraud cases list` shows it.")]


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[Casework, Store]]:
    from fraud.review.cases import Casework, case_rules
    from fraud.store import Store

    rules = case_rules(settings.cases, settings.review)
    with Store(settings.database_url) as store:
        yield Casework(store, rules, datetime.now), store


def _actor(by: str | None, purpose: str | None = None) -> Actor:
    """Whoever is at the terminal: who can open the database may lead."""
    from fraud.review.cases import Actor

    return Actor(who(by), by or getpass.getuser(), "supervisor", purpose=purpose)


def _tell(casework: Casework, what: str, actor: Actor, *cases: Case) -> None:
    """Tell the ledger who looked at which case."""
    from fraud.store.ledger import Event, Record

    seen = [Event(what, actor.id, Record("case", c.case_id), c.person, actor.purpose) for c in cases]
    casework.ledger.add(*seen)


def _shown(casework: Casework, case: Case) -> dict[str, Any]:
    """The case for a screen: whose it is, masked."""
    from fraud.store.ledger import Record

    name = casework.ledger.name
    patient = name(Record("patient", case.patient_id)) if case.patient_id else None
    entity_id = patient if case.entity == "patient" else case.entity_id
    return asdict(case) | {"entity_id": entity_id, "patient_id": patient, "overdue": case.overdue(casework.clock())}


@app.command("list")
def list_(
    state: Annotated[list[str] | None, typer.Option(help="open, assigned, evidence, proposed, confirmed, …")] = None,
    violation: Annotated[list[str] | None, typer.Option(help="Type of violation, as T07.")] = None,
    region: Annotated[list[str] | None, typer.Option(help="Where care was given; 33* for a whole province.")] = None,
    provider: Annotated[str | None, typer.Option(help="Only of this provider.")] = None,
    priority: Annotated[list[str] | None, typer.Option(help="urgent, important or normal.")] = None,
    amount_at_least: Annotated[float | None, typer.Option(min=0, help="Money at stake.")] = None,
    assignee: Annotated[str | None, typer.Option(help="Only of this person; none: in nobody's hands.")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only those whose clock has ended.")] = False,
    order: Annotated[
        str, typer.Option(help="worth, due, amount, opened, priority, …; a - before it turns it.")
    ] = "-worth",
    most: Annotated[int, typer.Option(min=1, max=1_000, help="Cases at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List cases, by expected recovery per hour of review unless told otherwise.

    \b
    fraud cases list --state open --state assigned
    fraud cases list --overdue --order due --most 20
    fraud cases list --violation T07 --amount-at-least 5000 --json
    """
    from fraud.review.cases import PRIORITIES, STATES, Chosen

    chosen = Chosen(
        states=_known("state", state, STATES),  # type: ignore[arg-type]
        violations=tuple(violation or ()),
        regions=tuple(region or ()),
        priorities=_known("priority", priority, PRIORITIES),  # type: ignore[arg-type]
        provider_id=provider,
        amount_at_least=amount_at_least,
        assignee="" if assignee == "none" else assignee,
        overdue=True if overdue else None,
    )
    with _opened(load_settings()) as (casework, _):
        page = casework.search(chosen, order=order, most=most)
        _tell(casework, "case.listed", _actor(None), *page.cases)
        rows = [_shown(casework, c) for c in page.cases]
    if as_json:
        print_json({"cases": rows, "total": page.total})
        return
    head = ("case", "state", "priority", "type", "about", "amount", "per hour", "assignee", "due", "")
    print_table(head, [_row(r) for r in rows])
    data(f"{len(rows):,} of {page.total:,} cases")


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    due = f"{row['due_at']:%Y-%m-%d %H:%M}" if row["due_at"] else ""
    amount = f"{row['amount']:,.0f}" if row["amount"] is not None else ""
    return (
        row["case_id"],
        row["state"],
        row["priority"],
        row["violation"],
        f"{row['entity']} {row['entity_id']}",
        amount,
        f"{row['worth']:,.0f}",
        row["assignee"],
        due,
        "overdue" if row["overdue"] else "",
    )


def _known(name: str, given: list[str] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    if wrong := [v for v in given or () if v not in known]:
        raise InputError(f'There is no {name} "{wrong[0][:40]}". There are: {", ".join(known)}.')
    return tuple(given or ())


@app.command()
def show(case_id: CaseId, by: By = None, as_json: AsJson = False) -> None:
    """Print one case with all that was done in it.

    \b
    fraud cases show YYU3T4TGU3O6GM5F
    fraud cases show YYU3T4TGU3O6GM5F --json
    """
    actor = _actor(by)
    with _opened(load_settings()) as (casework, _):
        file = casework.file(case_id, actor)
        _tell(casework, "case.read", actor, file.case)
        shown = _shown(casework, file.case)
    if as_json:
        more = {"history": [asdict(e) for e in file.history], "files": [asdict(a) for a in file.attachments]}
        more |= {"payments": [asdict(r) for r in file.recoveries]}
        print_json(shown | more | {"checks": file.checks, "proposal": file.proposal, "possible": file.possible})
        return
    print_table(("", ""), [(k, v) for k, v in shown.items() if v not in (None, "", ())])
    history = [
        (e.number, f"{e.at:%Y-%m-%d %H:%M}", e.who or "the service", e.what, e.state_after) for e in file.history
    ]
    print_table(("", "at", "who", "what", "then"), history, title="History")
    for remark in file.notes:
        note(remark)


@app.command()
def plan(
    claims: Annotated[Path, typer.Option("--claims", help="Folder with the canonical tables.")],
    model: Annotated[str, typer.Option("--model", help="Name of a registered model.")] = "claim_risk",
    version: Annotated[str, typer.Option("--version", help="Alias or number of the version.")] = "champion",
    hours: Annotated[float | None, typer.Option(min=0, help="Hours of review; default: those of fraud.toml.")] = None,
    as_of: Annotated[
        datetime | None, typer.Option(help="First day of the week; default: after the last claim.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Draws the random cases; default: the day.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Choose the week's list as `fraud queue` does, and put it onto cases; where there is none it is opened.

    \b
    fraud cases plan --claims claims/ --hours 40
    fraud cases plan --claims claims/ --model provider_risk --hours 80 --json
    """
    from fraud.claims.folder import ClaimsFolder
    from fraud.commands.models import load_fitted
    from fraud.review.candidates import candidates_of
    from fraud.review.queue import build_queue, rules_of_settings
    from fraud.signals.catalogue import load_catalogue

    settings = load_settings()
    catalogue = load_catalogue(settings.features)
    rules = rules_of_settings(settings.review, {s.violation for s in catalogue.signals.values() if s.violation})
    folder, fitted = ClaimsFolder(claims), load_fitted(settings, model, version)
    with progress(quiet=as_json) as step, _opened(settings) as (casework, _):
        day, found = candidates_of(folder, fitted, catalogue, rules, as_of=as_of, hours=hours, progress=step)
        step("choosing", 0.0)
        drawn_by = int(f"{day:%Y%m%d}") if seed is None else seed
        chosen = build_queue(found, rules, as_of=day, seed=drawn_by, hours=hours)
        planned = casework.plan(chosen, _actor(by))
        reached = casework.progress(planned.week)
    _say(planned, asdict(reached), as_json)


def _say(planned: Planned, reached: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(asdict(planned) | {"progress": reached})
        return
    data(
        f"Week of {planned.week}: {len(planned.opened)} cases opened, {len(planned.kept)} were open, "
        f"{len(planned.decided)} decided meanwhile; {reached['hours']:g} of {reached['capacity_hours']:g} hours, "
        f"{reached['random_cases']} drawn at random."
    )


@app.command()
def assign(
    case_ids: Annotated[list[str], typer.Argument(metavar="CASE…", help="Numbers of cases.")],
    to: Annotated[str, typer.Option(help="Into whose hands: the name of a key or account.")],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Put cases into somebody's hands; those that cannot be are named with the reason.

    \b
    fraud cases assign YYU3T4TGU3O6GM5F --to ann
    fraud cases list --state open --json | jq -r '.cases[].case_id' | xargs fraud cases assign --to ann
    """
    with _opened(load_settings()) as (casework, _):
        done, refused = casework.assign_many(case_ids, _actor(by), to)
    if as_json:
        left = {case_id: error.message for case_id, error in refused.items()}
        print_json({"assigned": [c.case_id for c in done], "refused": left})
    else:
        data(f"{len(done)} of {len(case_ids)} cases are in the hands of {to}")
        for case_id, error in refused.items():
            note(f"  • {case_id[:20]}: {error.message}")
    if refused and not done:
        raise typer.Exit(1)


@app.command()
def recover(
    case_id: CaseId,
    amount: Annotated[float, typer.Option(help="How much came back, or with --corrects how much of it did not.")],
    on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day on which it arrived; of a correction: today.")
    ] = None,
    reference: Annotated[str | None, typer.Option(help="How the payer's books know the payment.")] = None,
    reason: Annotated[str | None, typer.Option(help="Needed where more than was confirmed comes back.")] = None,
    corrects: Annotated[int | None, typer.Option(help="Number of the payment that it is taken off.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Enter money that was paid back on a case; what was entered wrongly is taken off again, never changed.

    \b
    fraud cases recover YYU3T4TGU3O6GM5F --amount 1200 --on 2026-03-12 --reference "transfer 2026-0312-7"
    fraud cases recover YYU3T4TGU3O6GM5F --corrects 7 --amount 200 --reason "200 of it was for another case"
    """
    from fraud.review.cases import money

    actor, day = _actor(by), on.date() if on else None

    def step(case: Case, at: Moment) -> Step:
        if corrects is None:
            return money.recover(case, actor, at, amount, day, reference, reason)
        return money.reverse(case, actor, at, corrects, amount, reason, day, reference)

    with _opened(load_settings()) as (casework, _):
        casework.change(case_id, actor, (step,))
        file = casework.file(case_id, actor)
        shown = _shown(casework, file.case) | {"payments": [asdict(r) for r in file.recoveries]}
    if as_json:
        print_json(shown)
        return
    last, back, of = file.recoveries[-1], file.case.recovered_amount or 0.0, file.case.confirmed_amount or 0.0
    data(f"Number {last.number}: {last.amount:+,.2f}; {back:,.2f} of {of:,.2f} came back.")


@app.command()
def reviews(
    since: Annotated[datetime, typer.Option(help="The first day.")],
    until: Annotated[datetime | None, typer.Option(help="The day after the last one; default: now.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="CSV file to write.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the ledger of reviews: when, who, which document, how much, what was decided and why, on which versions.

    \b
    fraud cases reviews --since 2026-03-01 --until 2026-04-01 --out march.csv
    """
    import csv

    from fraud.review.cases.reviewing import reviews as found_in

    with _opened(load_settings()) as (casework, store):
        rows = [asdict(r) for r in found_in(store, since, until or casework.clock())]
        casework.ledger.add(_listed(since, len(rows)))
    for row in rows:
        row["versions"] = " ".join(row["versions"])
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["at"])
            writer.writeheader()
            writer.writerows(rows)
    if as_json:
        print_json(rows)
    elif out:
        data(str(out))
    else:
        head = ("at", "who", "about", "amount", "decision", "result", "reason")
        told = [(f"{r['at']:%Y-%m-%d %H:%M}", r["who"], r["document"], r["amount"], r["decision"]) for r in rows]
        print_table(head, [(*t, r["result"], r["reason"]) for t, r in zip(told, rows, strict=True)])


def _listed(since: datetime, count: int) -> Event:
    from fraud.store.ledger import Event

    return Event("reviews.listed", who(None), details={"since": since.isoformat(), "rows": count})


@app.command()
def remind(
    within: Annotated[int, typer.Option(min=1, help="Minutes until the clock of a case ends.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Send a notice for every undecided case that is due soon; run it once in that time.

    \b
    fraud cases remind --within 60

    Where notices go is set in [notices] of fraud.toml; without that nobody is told.
    """
    import os
    from datetime import timedelta

    from fraud.review.cases import AT_WORK, Chosen
    from fraud.review.cases.notices import Notice, Notices, notice_settings

    settings = load_settings()
    notices = Notices(notice_settings(settings.notices, os.environ))
    with _opened(settings) as (casework, _):
        now = casework.clock()
        ahead = casework.search(Chosen(states=AT_WORK, overdue=False), order="due", most=1_000).cases
    soon = [c for c in ahead if c.due_at is not None and c.due_at <= now + timedelta(minutes=within)]
    told = [c.case_id for c in soon if notices.on and notices.send(Notice.due_soon(c))]
    notices.close()
    if as_json:
        print_json({"due": [c.case_id for c in soon], "told": told})
    else:
        data(f"{len(soon)} cases are due within {within} minutes; {len(told)} notices sent")


@app.command()
def export(
    case_id: CaseId,
    out: Annotated[Path, typer.Option("--out", help="ZIP file to write.")],
    purpose: Annotated[str, typer.Option(help="Why it is handed over; told to the ledger.")],
    report: Annotated[list[Path] | None, typer.Option(help="A report to put in, as `fraud report` wrote it.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Write all that a case rests on as one archive with the hash of every part: to refer it to others.

    \b
    fraud cases export YYU3T4TGU3O6GM5F --out case.zip --purpose "referred to the police" --report report.pdf

    It names the persons concerned. The same case gives the same bytes.
    """
    import hashlib

    from fraud.review.cases.referral import referral_pack

    actor = _actor(by, purpose)
    if missing := [p for p in report or () if not p.is_file()]:
        raise InputError(f"{missing[0]}: there is no such report. Write it first with `fraud report`.")
    with _opened(load_settings()) as (casework, _):
        pack = referral_pack(casework, case_id, {p.name: p.read_bytes() for p in report or ()})
        _tell(casework, "case.exported", actor, casework.get(case_id))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(pack)
    digest = hashlib.sha256(pack).hexdigest()
    if as_json:
        print_json({"file": str(out), "bytes": len(pack), "sha256": digest})
    else:
        data(f"{out}\nsha256 {digest}")
