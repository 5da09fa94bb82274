"""Everything that can be done with campaigns, on the store: each change is one transaction with event and entry."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection

from fraud.errors import Fault, FraudError, InputError, NotKnownError
from fraud.review.campaigns import workflow
from fraud.review.campaigns.findings import (
    currency_of,
    effects_at,
    extent_of,
    found_at,
    names_of,
    providers_found,
    regions_of,
)
from fraud.review.campaigns.refusals import CampaignRefusedError
from fraud.review.campaigns.shapes import (
    DAYS,
    MOST_PROVIDERS,
    MOST_TEXT,
    Announcement,
    Dossier,
    Overview,
    refuse,
    standing_of,
    text_faults,
)
from fraud.review.campaigns.workflow import File, Measured, Moment, Step, StepOf
from fraud.review.cases.calendar import WorkingDays, working_days
from fraud.review.cases.filing import accepted
from fraud.review.cases.shapes import Actor
from fraud.store.campaigns import rows
from fraud.store.campaigns.shapes import PHASES, Campaign, CampaignEvent, CampaignFile, Inspected, Phase, Task
from fraud.store.casework.rows import case_of
from fraud.store.casework.shapes import Within
from fraud.store.keys import Scope
from fraud.store.ledger import Event, Ledger, Record

if TYPE_CHECKING:
    from fraud.explaining.content.document import Document
    from fraud.signals.catalogue import Catalogue
    from fraud.store import Store

__all__ = ["Campaigns", "campaigns_between"]

_NO_BOUNDS = Within()


class Campaigns:
    """The campaigns of one store, by a clock (civil time without a zone).

    Whoever has bounds sees the providers within them, and campaigns that have one. Methods raise `NotKnownError` for
    what is not there or lies outside, `CampaignRefusedError` for a step that cannot be taken, and `InputError` with
    all faults for what was said wrongly. With `revision`, the one that the caller has seen, a row that somebody else
    has changed since is left as it is. With `rules` a task can name only those. Changes are entries of the ledger;
    whoever shows something tells it who looked.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], datetime] = datetime.now,
        *,
        ledger: Ledger | None = None,
        days: WorkingDays | None = None,
        rules: Container[str] | None = None,
    ) -> None:
        self.clock = clock
        self.ledger = ledger or Ledger(store.database)
        self._database = store.database
        self._days = days or working_days()
        self._rules = rules

    # --- reading ------------------------------------------------------------------------------------------

    def all(self, within: Within = _NO_BOUNDS) -> tuple[Overview, ...]:
        """Every campaign with its standing: those under way first, the newest first."""
        with self._database.read() as connection:
            known = rows.campaigns_in(connection)
            every = [r for r in rows.inspected_in(connection) if _holds(within, r)]
            found = [_seen(connection, c, every, self.clock()) for c in known]
        shown = [o for o in found if o.rows]
        return tuple(sorted(shown, key=lambda o: o.campaign.closed_at is not None))

    def get(self, campaign_id: str, actor: Actor) -> Overview:
        """One campaign with the providers that somebody may see, those that are overdue first."""
        now = self.clock()
        with self._database.read() as connection:
            campaign = _known(rows.campaign_of(connection, campaign_id.upper()))
            every = rows.inspected_in(connection, campaign.campaign_id)
            seen = _seen(connection, campaign, [r for r in every if _holds(actor.within, r)], now)
            history = rows.events_of(connection, campaign.campaign_id, "")
        if not seen.rows:
            raise _unknown()
        can = tuple(s for s in ("tell_all", "close") if self._whole_refusal(s, seen, len(every), actor) is None)
        years = self._days.unknown(min(now, campaign.opened_at), campaign.acceptance_due)
        return replace(seen, history=history, possible=can, unknown_years=years)

    def dossier(self, campaign_id: str, provider_id: str, actor: Actor) -> Dossier:
        """One provider in a campaign."""
        with self._database.read_all() as connection:
            campaign = _known(rows.campaign_of(connection, campaign_id.upper()))
            row = _within(rows.inspected_of(connection, campaign.campaign_id, provider_id), actor)
            own = (connection, campaign.campaign_id, provider_id)
            tasks, files = rows.tasks_of(*own), rows.files_of(*own)
            at = Moment(self.clock(), campaign, tasks, self._days)
            awaited = row.state == "acceptance" and campaign.closed_at is None
            effects = effects_at(connection, campaign, row, tasks, at.now) if awaited else row.effects
            history = rows.events_of(*own)
        can = workflow.possible(row, actor, at)
        return Dossier(campaign, row, tasks, history, files, can, effects)

    def file(self, campaign_id: str, provider_id: str, number: int, actor: Actor) -> tuple[CampaignFile, bytes]:
        """A file with its content; raises `FraudError` for one that was changed since it was handed in."""
        with self._database.read() as connection:
            own = (connection, campaign_id.upper(), provider_id)
            _within(rows.inspected_of(*own), actor)
            known = {f.number: f for f in rows.files_of(*own)}
            content = rows.file_content(connection, known[number]) if number in known else b""
        if number not in known:
            raise NotKnownError(f"There is no file number {number} here; there are {len(known)}.")
        if hashlib.sha256(content).hexdigest() != known[number].digest:
            raise FraudError(f"File {number} is not what was handed in: its SHA-256 differs.")
        return known[number], content

    def paper(self, campaign_id: str, actor: Actor, catalogue: Catalogue, locale: str) -> Document:
        """The paper of a campaign in one language, over the providers that somebody may see."""
        from fraud.review.campaigns.paper import campaign_paper

        seen = self.get(campaign_id, actor)
        dossiers = [self.dossier(campaign_id, r.provider_id, actor) for r in seen.rows]
        with self._database.read() as connection:
            names = names_of(connection, [r.provider_id for r in seen.rows])
            currency = currency_of(connection)
        return campaign_paper(seen, dossiers, catalogue, locale, self.clock(), names=names, currency=currency)

    # --- the campaign itself ------------------------------------------------------------------------------

    def open(self, announcement: Announcement, actor: Actor) -> Campaign:
        """A new campaign with what was found at each provider of its scope."""
        if actor.role not in workflow.LEADS:
            raise CampaignRefusedError("role", f"A supervisor opens campaigns; the role {actor.role} does not.")
        said, now = announcement.checked(), self.clock()
        with self._database.read_all() as connection:
            extent = extent_of(said.period_from, said.period_until, said.violations)
            chosen = self._chosen(connection, said, actor)
            found = found_at(connection, tuple(chosen), extent, now)
        campaign = self._new(said, actor, now)
        made = [
            Inspected(campaign.campaign_id, p, region, found[p], due_at=campaign.announced_due)
            for p, region in chosen.items()
        ]
        told = {"title": said.title, "violations": said.violations, "providers": len(made)}

        def work(connection: Connection) -> None:
            rows.insert_campaign(connection, campaign, made)
            for row in made:
                figures = {"with_findings": row.found.with_findings, "amount": row.found.amount}
                rows.add_event(connection, _event(row, "opened", actor, now, None, figures))
            self._note(connection, CampaignEvent(
                campaign.campaign_id, "", 1, now, actor.person, "opened", None, "open", told), actor)  # fmt: skip

        self._database.transact(work)
        return campaign

    def _chosen(self, connection: Connection, said: Announcement, actor: Actor) -> dict[str, str | None]:
        """Providers of the scope with their regions; raises `InputError` for those that are not known here."""
        wanted = tuple(dict.fromkeys(said.providers))
        extent = extent_of(said.period_from, said.period_until, said.violations)
        known = regions_of(connection, wanted or providers_found(connection, extent))
        here = Scope(said.regions if not wanted else ())
        found = {
            p: region
            for p, region in known.items()
            if here.holds_region(region) and _bounds(actor.within).holds_region(region)
            and _bounds(actor.within).holds_provider(p)
        }  # fmt: skip
        missing = [p for p in wanted if p not in found]
        faults = [Fault("/providers", "not_known", f"provider {p[:40]} is not known here") for p in missing[:5]]
        if not found and not faults:
            faults = [Fault("/providers", "missing", "no provider has such findings in the period; name providers")]
        if len(found) > MOST_PROVIDERS:
            count = f"{len(found):,} providers have such findings; a campaign has at most {MOST_PROVIDERS:,}"
            faults.append(Fault("/providers", "too_many", count))
        refuse("The campaign is not opened:", faults)
        return found

    def _new(self, said: Announcement, actor: Actor, now: datetime) -> Campaign:
        dues: dict[Phase, datetime] = {}
        moment = now
        for phase in PHASES:
            moment = dues[phase] = self._days.after(moment, int(said.days.get(phase, DAYS[phase])))
        return Campaign(
            campaign_id=f"CMP-{now:%Y%m%d}-{secrets.token_hex(3).upper()}",
            title=said.title,
            legal_basis=said.legal_basis,
            violations=tuple(dict.fromkeys(said.violations)),
            period_from=said.period_from,
            period_until=said.period_until,
            opened_at=now,
            opened_by=actor.person,
            opened_by_id=actor.id,
            **{f"{phase}_due": due for phase, due in dues.items()},  # type: ignore[arg-type]
        )

    def tell_all(self, campaign_id: str, actor: Actor) -> int:
        """Note that every provider that somebody may see was told; how many had not been."""

        def work(connection: Connection) -> int:
            campaign = _known(rows.campaign_of(connection, campaign_id.upper(), within=True))
            at = Moment(self.clock(), campaign, (), self._days)
            every = rows.inspected_in(connection, campaign.campaign_id, to_change=True)
            seen = [r for r in every if _holds(actor.within, r)]
            waiting = [r for r in seen if r.state == "announced"]
            if not seen:
                raise _unknown()
            for row in waiting:
                self._taken(connection, row, workflow.tell(row, actor, at), actor, at.now)
            return len(waiting)

        return self._database.transact(work)

    def close(self, campaign_id: str, actor: Actor, reason: str = "", revision: int | None = None) -> Campaign:
        """The campaign closed, once all is decided; before that only with a reason."""
        refuse("The campaign is not closed:", text_faults("reason", reason, MOST_TEXT, needed=False))

        def work(connection: Connection) -> Campaign:
            before = _known(rows.campaign_of(connection, campaign_id.upper(), to_change=True))
            every = rows.inspected_in(connection, before.campaign_id)
            seen = _seen(connection, before, [r for r in every if _holds(actor.within, r)], self.clock())
            if not seen.rows:
                raise _unknown()
            if (refusal := self._whole_refusal("close", seen, len(every), actor)) is not None:
                raise refusal
            left = [r for r in every if not r.finished]
            needed = "some providers are not decided yet: say why it ends all the same"
            refuse("The campaign is not closed:",
                   [Fault("/reason", "missing", needed)] if left and not reason.strip() else [])  # fmt: skip
            if revision is not None and revision != before.revision:
                raise _changed()
            now = self.clock()
            after = replace(
                before, revision=before.revision + 1, events=before.events + 1, closed_at=now, closed_by=actor.person
            )
            if not rows.replace_campaign(connection, before, after):
                raise _changed()
            told = {"reason": reason.strip() or None, "undecided": len(left)}
            event = CampaignEvent(
                after.campaign_id, "", after.events, now, actor.person, "closed", "open", "closed", _said(told)
            )
            self._note(connection, event, actor)
            return after

        return self._database.transact(work)

    def _whole_refusal(self, step: str, seen: Overview, every: int, actor: Actor) -> CampaignRefusedError | None:
        if seen.campaign.closed_at is not None:
            return CampaignRefusedError("state", "The campaign is closed.")
        if actor.role not in (workflow.LEADS if step == "close" else workflow.RECORDERS):
            return CampaignRefusedError("role", f"The role {actor.role} may not do this.")
        if step == "close" and len(seen.rows) < every:
            return CampaignRefusedError("person", "It has providers outside of your bounds: somebody else closes it.")
        if step == "tell_all" and not any(r.state == "announced" for r in seen.rows):
            return CampaignRefusedError("state", "Every provider was told.")
        return None

    # --- one provider -------------------------------------------------------------------------------------

    def change(
        self, campaign_id: str, provider_id: str, actor: Actor, step: StepOf, revision: int | None = None
    ) -> Inspected:
        """How a provider stands after a step; see `fraud.review.campaigns.workflow`."""

        def work(connection: Connection) -> Inspected:
            campaign = _known(rows.campaign_of(connection, campaign_id.upper(), within=True))
            before = _within(rows.inspected_of(connection, campaign.campaign_id, provider_id, to_change=True), actor)
            if revision is not None and revision != before.revision:
                raise _changed()
            tasks = rows.tasks_of(connection, campaign.campaign_id, provider_id)
            at = Moment(self.clock(), campaign, tasks, self._days)
            return self._taken(connection, before, step(before, at), actor, at.now)

        return self._database.transact(work)

    def _taken(self, connection: Connection, before: Inspected, step: Step, actor: Actor, now: datetime) -> Inspected:
        """Write what a step makes of a row, its task and file, and what history and ledger say of it."""
        after = replace(step.row, revision=before.revision + 1, events=before.events + 1)
        if step.entered is not None:
            self._check_named(connection, step.entered)
        if not rows.replace_inspected(connection, before, after):
            raise _changed()
        told = dict(step.details)
        if step.file is not None:
            told |= _store_file(connection, after, step.file, actor, now)
        if step.entered is not None:
            rows.add_task(connection, step.entered)
        if step.finished is not None:
            number = after.events if step.file is not None else None
            rows.finish_task(connection, replace(step.finished, file=number))
        self._note(connection, _event(after, step.what, actor, now, before.state, told), actor)
        return after

    def _check_named(self, connection: Connection, task: Task) -> None:
        """Refuse a task that names cases or rules that are not there; cases are those of the provider."""
        cases = {c: case_of(connection, c) for c in task.cases}
        found = [
            Fault("/cases", "not_known", f"the provider has no case {c[:40]}")
            for c, case in cases.items()
            if case is None or case.provider_id != task.provider_id
        ]
        strange = [r for r in task.rules if self._rules is not None and r not in self._rules]
        found += [Fault("/rules", "not_known", f"there is no rule {r[:40]}") for r in strange]
        refuse("The task is not taken:", found[:5])

    def decide(
        self,
        campaign_id: str,
        provider_id: str,
        actor: Actor,
        decision: str,
        reason: str = "",
        days: int | None = None,
        revision: int | None = None,
    ) -> Inspected:
        """How a provider stands once it is accepted, returned or referred, with what the service finds by then."""
        if decision not in _STEP_OF:
            known = f"expected one of: {', '.join(_STEP_OF)}"
            raise InputError(f"There is no such decision; {known}.", [Fault("/decision", "not_in_set", known)])
        # Counting takes as long as there are claims: nobody waits for it, and what has changed meanwhile is refused.
        with self._database.read_all() as connection:
            campaign = _known(rows.campaign_of(connection, campaign_id.upper()))
            row = _within(rows.inspected_of(connection, campaign.campaign_id, provider_id), actor)
            tasks = rows.tasks_of(connection, campaign.campaign_id, provider_id)
            at = Moment(self.clock(), campaign, tasks, self._days)
            workflow.require(_STEP_OF[decision], row, actor, at)
            measured = _measured(connection, campaign, row, tasks, at.now)

        def step(row: Inspected, at: Moment) -> Step:
            return _decision(decision, row, actor, at, measured, reason, days)

        return self.change(campaign_id, provider_id, actor, step, row.revision if revision is None else revision)

    def _note(self, connection: Connection, event: CampaignEvent, actor: Actor) -> None:
        """Add to the history and to the ledger: there who, when, from, to and the digest of the words."""
        rows.add_event(connection, event)
        told = {
            "role": actor.role,
            "provider": event.provider_id,
            "number": event.number,
            "from": event.state_before,
            "to": event.state_after,
            "details": hashlib.sha256(rows.details_bytes(event.details)).hexdigest(),
        }
        record = Record("campaign", event.campaign_id)
        entry = Event(f"campaign.{event.what}", actor.id, record, request_id=actor.request_id, details=told)
        self.ledger.add_in(connection, entry)


_STEP_OF: Mapping[str, str] = {"accepted": "accept", "returned": "return_", "referred": "refer"}


def _decision(
    decision: str, row: Inspected, actor: Actor, at: Moment, measured: Measured, reason: str, days: int | None
) -> Step:
    if decision == "returned":
        return workflow.return_(row, actor, at, measured, reason, days)
    step = workflow.accept if decision == "accepted" else workflow.refer
    return step(row, actor, at, measured, reason)


def _measured(
    connection: Connection, campaign: Campaign, row: Inspected, tasks: Sequence[Task], now: datetime
) -> Measured:
    extent = extent_of(campaign.period_from, campaign.period_until, campaign.violations)
    found = found_at(connection, [row.provider_id], extent, now)[row.provider_id]
    return Measured(found, effects_at(connection, campaign, row, tasks, now))


def _seen(connection: Connection, campaign: Campaign, every: Sequence[Inspected], now: datetime) -> Overview:
    """A campaign with those of the providers that are its own, the overdue first."""
    own = [r for r in every if r.campaign_id == campaign.campaign_id]
    named = {r.provider_id for r in own}
    tasks = [t for t in rows.tasks_of(connection, campaign.campaign_id) if t.provider_id in named]
    late = {r.provider_id for r in own if r.overdue(now)} | {t.provider_id for t in tasks if t.overdue(now)}
    own.sort(key=lambda r: (r.finished, r.provider_id not in late, -r.found.amount, r.provider_id))
    return Overview(campaign, tuple(own), tuple(tasks), standing_of(campaign, own, tasks, now))


def campaigns_between(connection: Connection, start: datetime, end: datetime) -> tuple[Overview, ...]:
    """The campaigns that were under way from one moment to before another, as they stand now.

    What is overdue is counted at the end of the period.
    """
    known = [c for c in rows.campaigns_in(connection) if c.opened_at < end and (c.closed_at or end) >= start]
    every = rows.inspected_in(connection) if known else ()
    return tuple(_seen(connection, c, every, end) for c in reversed(known))


def _store_file(connection: Connection, row: Inspected, file: File, actor: Actor, now: datetime) -> dict[str, Any]:
    """Keep a file under the number of the event that it came with; what the history says of it."""
    plain = accepted(file.name, file.media_type, file.content)
    kept = CampaignFile(
        row.campaign_id, row.provider_id, row.events, plain.name, plain.media_type, plain.size, plain.digest, now,
        actor.person,
    )  # fmt: skip
    rows.add_file(connection, kept, file.content)
    return {"file": kept.name, "sha256": kept.digest, "size": kept.size}


def _event(
    row: Inspected, what: str, actor: Actor, now: datetime, before: str | None, told: Mapping[str, Any]
) -> CampaignEvent:
    own = (row.campaign_id, row.provider_id, row.events, now, actor.person, what, before, row.state)
    return CampaignEvent(*own, _said(told))


def _said(told: Mapping[str, Any]) -> dict[str, Any]:
    """Without what was not said; days and moments as text, as they are read back."""
    kept = {k: v for k, v in told.items() if v not in (None, ())}
    return {k: v.isoformat() if isinstance(v, (date, datetime)) else v for k, v in kept.items()}


def _bounds(within: Within) -> Scope:
    return Scope(within.regions, within.providers)


def _holds(within: Within, row: Inspected) -> bool:
    scope = _bounds(within)
    return scope.holds_region(row.region) and scope.holds_provider(row.provider_id)


def _known(campaign: Campaign | None) -> Campaign:
    if campaign is None:
        raise _unknown()
    return campaign


def _within(row: Inspected | None, actor: Actor) -> Inspected:
    if row is None or not _holds(actor.within, row):
        raise _unknown()
    return row


def _unknown() -> NotKnownError:
    return NotKnownError("There is no such campaign, or no such provider in it.")


def _changed() -> CampaignRefusedError:
    return CampaignRefusedError("changed", "Somebody has changed this since you read it. Read it again, then decide.")
