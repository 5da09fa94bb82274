"""The report of monitoring: one document in English or Chinese."""

from __future__ import annotations

from fraud.explaining.wording import Wording
from fraud.learning.monitoring.drift import Check, Monitoring, Share, Shift
from fraud.learning.monitoring.recipe import Recipe
from fraud.learning.reports.documents import NOT_KNOWN, Block, Document, Figure, Pairs, Points, Section, Table, Words
from fraud.learning.reports.drawings import Bounded, interval_chart
from fraud.learning.reports.numbers import count, plain, share
from fraud.signals.catalogue import Catalogue

__all__ = ["monitor_document", "monitor_summary"]

_SHOWN, _DRAWN = 25, 12


def monitor_document(found: Monitoring, catalogue: Catalogue, recipe: Recipe, locale: str) -> Document:
    """The report in one language."""
    return _Report(found, catalogue, recipe, Words(locale)).document


def monitor_summary(found: Monitoring, catalogue: Catalogue, recipe: Recipe, locale: str) -> list[str]:
    """What each check found, a sentence each."""
    return _Report(found, catalogue, recipe, Words(locale)).summary


class _Report:
    def __init__(self, found: Monitoring, catalogue: Catalogue, recipe: Recipe, words: Words) -> None:
        self.f, self.catalogue, self.recipe, self.w = found, catalogue, recipe, words
        self.figures = Wording(words.locale)
        self.names = {"entities": words.label("entities_plural", found.model.spec.entity)}

    def say(self, where: str, **places: object) -> str:
        return self.w.say(f"monitor{where}", **self.names, **places)

    @property
    def document(self) -> Document:
        f = self.f
        last = f"{f.period.until:%Y-%m-%d}"
        steps = [self.say(f"_do.{c.name}") for c in f.loud] or [self.say("_do.nothing")]
        parts: dict[str, list[Block]] = {
            "short": [Points([*self._known(), *self.summary])],
            "do": [Points(steps)],
            "hits": self._hits(),
            "scores": self._scores(),
            "features": self._features(),
            "limits": self._limits(),
            "made": [Pairs(self._made(), code=True)],
        }
        count = len(f.loud)
        pill = (self.say(".loud", count=count), "bad") if count else (self.say(".quiet"), "good")
        return Document(
            lang=self.w.lang,
            kicker=self.say(".kicker"),
            title=f.model.spec.title.get(self.w.locale) or f.model.name,
            lead=self.say(
                ".lead",
                rows=f"{f.period.rows:,}",
                since=f"{f.period.since:%Y-%m-%d}",
                until=last,
                then=f.origin.since[:10],
                to=f.origin.until[:10],
                fitted=f"{f.origin.rows:,.0f}",
            ),
            notice=(self.say(".notice"), self.say(".notice_text")),
            sections=[Section(self.say(f"_headings.{name}"), blocks) for name, blocks in parts.items()],
            pills=[pill, (self.w.say("card.version", version=f.model.version or NOT_KNOWN), "")],
        )

    # --- in short -----------------------------------------------------------------------------------------

    @property
    def summary(self) -> list[str]:
        # High and low are two limits of one figure: it is told once, by the one that rings.
        quiet = {"alerts_low"} if not self.f.check("alerts_low").loud else {"alerts_high"}
        return [self._sentence(c) for c in self.f.checks if c.name not in quiet]

    def _known(self) -> list[str]:
        """A warning when the model has learned from the period that it is judged by."""
        fitted_until = self.f.origin.until[:10]
        seen = f"{self.f.period.since:%Y-%m-%d}" < fitted_until
        return [self.say(".inside", until=fitted_until)] if seen else []

    def _sentence(self, check: Check) -> str:
        state = "unknown" if not check.known else "loud" if check.loud else "ok"
        return self.say(f"_said.{check.name}_{state}", **self._places(check))

    def _places(self, check: Check) -> dict[str, object]:
        f, h = self.f, self.f.hits
        named = self.w.join([self._title(s) for s in f.shifts if s.changed][:3])
        gone = self.w.join([self._title(s) for s in f.shifts if s.gone][:3])
        return {
            "count": f"{check.measured:.0f}" if check.known else "0",
            "of": len(f.shifts),
            "changed": sum(s.changed for s in f.shifts),
            "names": gone if check.name == "missing_rise" else named,
            "weight": share(f.drifted_weight),
            "index": plain(f.score_index),
            "limit": f"{check.limit:g}",
            "alerts": count(f.alerts),
            "capacity": count(f.alerts_expected),
            "decided": f"{h.decided:,}",
            "found": share(h.found),
            "bounds": self._bounds(h.low, h.high),
            "expected": share(h.expected),
            "expected_bounds": self._bounds(h.expected_low, h.expected_high),
            "days": count(f.delay[0]),
            "before": count(f.delay_then[0]),
            "pending": f"{f.period.pending:,}",
        }

    def _bounds(self, low: float, high: float) -> str:
        return self.say(".to", low=share(low), high=share(high))

    # --- parts --------------------------------------------------------------------------------------------

    def _hits(self) -> list[Block]:
        bands = self.f.hits.bands
        if not bands:
            return [self.say("_texts.no_hits")]
        rows = [self._share_row(b) for b in reversed(bands)]
        head = [self._column(n) for n in ("band", "n", "expected", "found", "bounds")]
        dots = [self._dot(b) for b in reversed(bands)]
        chart = self._drawn("_texts.hits_chart", dots, "found")
        return [self.say("_texts.hits"), chart, Table(head, rows)]

    def _scores(self) -> list[Block]:
        shares = self.f.scores
        if not shares:
            return [self.say("_texts.no_rows")]
        chart = self._drawn("_texts.scores_chart", [self._dot(s) for s in reversed(shares)], "share")
        return [self.say("_texts.scores"), chart]

    def _features(self) -> list[Block]:
        shifts = self.f.shifts
        if not shifts:
            return [self.say("_texts.no_rows")]
        dots = [
            Bounded(self._title(s), s.index, 0.0, s.index, self.recipe.limit("feature_psi"), s.changed)
            for s in shifts[:_DRAWN]
        ]
        title = self._column("psi")
        wide, narrow = (interval_chart(dots, title, narrow=n) for n in (False, True))
        names = ("feature", "state", "psi", "chance", "weight", "medians", "missing")
        table = Table([self._column(n) for n in names], [self._shift_row(s) for s in shifts[:_SHOWN]], words=2)
        more = len(shifts) - _SHOWN
        return [
            self.say("_texts.features"),
            Figure(self.say("_texts.features_chart"), wide, narrow),
            table,
            *([self.say("_texts.more", count=more)] if more > 0 else []),
        ]

    def _shift_row(self, s: Shift) -> list[str]:
        state = "gone" if s.gone else "changed" if s.changed else "same"
        unit = self.catalogue[s.signal].unit if s.feature == s.signal else ""
        arrow = " → ".join(self.figures.quantity(v, unit) for v in (s.median_then, s.median_now))
        missing = f"{share(s.missing_then)} → {share(s.missing_now)}"
        figures = [plain(s.index), plain(s.chance), share(s.weight), arrow, missing]
        return [self._title(s), self.say(f"_states.{state}"), *figures]

    def _limits(self) -> list[Block]:
        rows = [
            [self.say(f"_checks.{name}"), f"{t.since:%Y-%m-%d}", f"{t.value:g}"]
            for name, t in self.recipe.limits.items()
        ]
        grounds = [
            self.say(
                "_texts.ground",
                check=self.say(f"_checks.{n}"),
                why=t.why(self.w.locale),
                source=t.origin(self.w.locale),
            )
            for n, t in self.recipe.limits.items()
        ]
        head = [self._column(n) for n in ("check", "from", "limit")]
        return [self.say("_texts.limits"), Table(head, rows, words=2), Points(grounds, original=not self._told_here)]

    @property
    def _told_here(self) -> bool:
        """Whether every reason is in the language of the page."""
        return all(self.w.locale in t.because for t in self.recipe.limits.values())

    def _made(self) -> list[tuple[str, str]]:
        f = self.f
        facts = {
            "model": f"{f.model.name} {f.model.version or ''}".strip(),
            "digest": f.model.digest,
            "data": f.data_digest,
            "catalogue": f.model.catalogue_digest,
            "at": f"{f.made_at:%Y-%m-%d %H:%M}",
        }
        return [(self.say(f"_made.{k}"), v) for k, v in facts.items()]

    # --- pieces -------------------------------------------------------------------------------------------

    def _column(self, name: str) -> str:
        return self.say(f"_columns.{name}")

    def _title(self, shift: Shift) -> str:
        """The title of the signal, of whom it speaks, and which figure of it the feature is."""
        suffix = shift.feature.removeprefix(shift.signal).lstrip(".")
        signal = self.catalogue[shift.signal]
        title = self.w.printed(signal.title.get(self.w.locale, shift.signal))
        title = shift.signal if "{" in title else title
        if signal.entity != self.f.model.spec.entity:
            title = f"{title} · {self.w.label('entities', signal.entity)}"
        return self.w.printed(f"{title} ({self.say(f'_suffixes.{suffix}')})") if suffix else title

    def _drawn(self, caption: str, dots: list[Bounded], axis: str) -> Figure:
        title = self._column(axis)
        wide, narrow = (interval_chart(dots, title, percent=True, narrow=n) for n in (False, True))
        return Figure(self.say(caption), wide, narrow)

    def _dot(self, s: Share) -> Bounded:
        label = self.say(".band", band=s.label)
        return Bounded(label, s.found, s.low, s.high, s.expected, not s.low <= s.expected <= s.high)

    def _share_row(self, s: Share) -> list[str]:
        return [
            self.say(".band", band=s.label),
            f"{s.n:,}",
            share(s.expected),
            share(s.found),
            self._bounds(s.low, s.high),
        ]
