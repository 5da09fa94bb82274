"""Physicians by the share of their claims that somebody was asked to look at, with intervals and a least volume."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from fraud.errors import InputError
from fraud.explaining.content.document import Cell, Document, Section, Text, Tile
from fraud.explaining.wording import NOT_KNOWN
from fraud.review.periodic.figures import Share, flagged_share
from fraud.review.periodic.reading import Judged, Record
from fraud.review.periodic.setting import Paper, PaperWording, document, table

__all__ = ["LEAST", "Ranked", "rank", "ranking_paper"]

# Of fewer claims a share says next to nothing: its interval is wider than half of all that is possible.
LEAST = 30


@dataclass(frozen=True)
class Ranked:
    """One physician. `beyond` is whether the interval lies above the share of all; money in the payer's currency."""

    place: int
    physician_id: str
    provider_id: str
    share: Share
    at_stake: float
    confirmed: int
    beyond: bool


def rank(judged: Iterable[Judged], confirmed: Counter[str] | None = None, least: int = LEAST) -> list[Ranked]:
    """Physicians with at least so many claims, those first whose share is high beyond chance.

    The order is that of the lower bound of the 95 % interval: whoever has few claims does not lead by luck.

    Raises:
        InputError: `least` is no positive number.
    """
    if least < 1:
        raise InputError(f"The least number of claims is 1 or more, not {least}.")
    own: dict[str, list[Judged]] = defaultdict(list)
    everybody = list(judged)
    for one in everybody:
        if one.physician_id is not None:
            own[one.physician_id].append(one)
    overall = flagged_share(everybody).value or 0.0
    enough = {p: claims for p, claims in own.items() if len(claims) >= least}
    shares = {p: flagged_share(claims) for p, claims in enough.items()}
    order = sorted(shares, key=lambda p: (-(shares[p].low or 0.0), -shares[p].n, p))
    return [
        Ranked(
            place,
            p,
            Counter(c.provider_id for c in enough[p]).most_common(1)[0][0],
            shares[p],
            sum(c.at_stake for c in enough[p] if c.flagged),
            (confirmed or Counter())[p],
            (shares[p].low or 0.0) > overall,
        )
        for place, p in enumerate(order, 1)
    ]


def ranking_paper(record: Record, locale: str, made_at: datetime, least: int = LEAST) -> Document:
    """The ranking of physicians in one language."""
    w = PaperWording(locale, record.currency)
    ranked = rank(record.judged, _confirmed(record), least)
    everybody = {j.physician_id for j in record.judged if j.physician_id is not None}
    few, beyond = len(everybody) - len(ranked), sum(r.beyond for r in ranked)
    summary = w.say("ranking.summary", ranked=len(ranked), few=few, least=least, beyond=beyond)
    overall = flagged_share(record.judged).value
    tiles = [
        Tile(w.number(len(ranked)), w.say("ranking.tile_ranked")),
        Tile(w.number(beyond), w.say("ranking.tile_beyond")),
        Tile(w.number(few), w.say("ranking.tile_few", least=least)),
        Tile(NOT_KNOWN if overall is None else w.share(overall), w.say("ranking.tile_overall")),
    ]
    return document(Paper("ranking", record, made_at), w, summary, tiles, _table(ranked, record, w))


def _confirmed(record: Record) -> Counter[str]:
    """Confirmed cases by physician: those of the claims they answer for, and those about themselves."""
    physicians = {j.claim_id: j.physician_id for j in record.judged}
    found = (
        c.entity_id if c.entity == "physician" else physicians.get(c.entity_id) for c in record.decided if c.confirmed
    )
    return Counter(p for p in found if p is not None)


def _table(ranked: list[Ranked], record: Record, w: PaperWording) -> Section:
    rows = [
        (
            Cell(str(r.place), r.place),
            Cell(r.physician_id),
            Cell(record.names.get(r.provider_id, r.provider_id)),
            Cell(w.number(r.share.n), r.share.n),
            w.share_between(r.share),
            Cell(w.label("beyond", "yes" if r.beyond else "no")),
            Cell(w.cell("amount", r.at_stake), r.at_stake),
            Cell(w.number(r.confirmed), r.confirmed),
        )
        for r in ranked
    ]
    heads = {
        "place": True, "physician": False, "provider": False, "claims": True, "flagged_share": True,
        "beyond": False, "amount": True, "confirmed": True,
    }  # fmt: skip
    lead = Text(w.say("ranking.lead"))
    return Section("ranking", w.say("tables.ranking"), (lead, table(w, "ranking", heads, rows, shown=50)))
