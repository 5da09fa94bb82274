"""The clients: every call once for threads and once for asyncio, over the same requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, overload
from uuid import uuid4

import httpx

from fraud.client import asks
from fraud.client.asks import MOST_CLAIMS, Ask, Entity, Explain, Locale
from fraud.client.retrying import Retrying, Trial

if TYPE_CHECKING:
    from fraud.client.shapes import (
        AddedAnswer,
        Appeal,
        CaseFileAnswer,
        CasePatch,
        CasesAnswer,
        CaseStanding,
        ClaimScore,
        Close,
        Confirm,
        DecideAppeal,
        EntityRisk,
        ItemProblem,
        LedgerAnswer,
        ModelAnswer,
        OutcomesAnswer,
        Propose,
        SendBack,
        Unfounded,
    )

    CaseDecision = Propose | Confirm | SendBack | Unfounded | Appeal | DecideAppeal | Close

__all__ = ["AsyncFraudClient", "FraudClient"]

_Answer = TypeVar("_Answer")
Row = Mapping[str, Any]
# Seconds that one trial may take: the service gives up after eight, and a list of claims takes longer.
_TRIAL_SECONDS = 30.0


class _Settings:
    """What both clients are told: where the service is, the key, and how patient to be."""

    def __init__(self, base_url: str, key: str | None, retrying: Retrying | None) -> None:
        self.retrying = retrying or Retrying()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.http: dict[str, Any] = {"base_url": base_url, "headers": headers, "follow_redirects": False}


def _headers(ask: Ask[Any], key: str | None) -> dict[str, str]:
    """Of one call, in all its trials: the same key, so that the service works only once."""
    headers = {"Accept": ask.accept}
    if ask.body is not None:
        headers["Content-Type"] = "application/json"
    if ask.keyed:
        headers["Idempotency-Key"] = key or uuid4().hex
    return headers


def _sent(ask: Ask[Any], headers: Mapping[str, str], trial: Trial) -> dict[str, Any]:
    # What is left may be less than the network's smallest step.
    seconds = max(min(_TRIAL_SECONDS, trial.left), 0.05)
    return {
        "method": ask.method,
        "url": ask.path,
        "content": ask.body,
        "params": ask.query or None,
        "headers": headers,
        "timeout": seconds,
    }


def _options(explain: Explain, locale: Locale, store: bool) -> dict[str, Any]:
    return {"explain": explain, "locale": locale, "store": store}


def _portions(bodies: Iterable[Row]) -> Iterator[list[Row]]:
    """As many claims as one request may carry at a time."""
    rest = iter(bodies)
    while portion := list(islice(rest, MOST_CLAIMS)):
        yield portion


class FraudClient:
    """A client for threads; one may serve all of them.

    Each call is sent again while nobody answers, or the service is busy, with the same `Idempotency-Key`, until the
    deadline of `retrying`. Every method raises `FraudProblem` for a problem, `FraudUnreachable` when nobody answers.
    """

    def __init__(self, base_url: str, key: str | None = None, *, retrying: Retrying | None = None) -> None:
        self._settings = _Settings(base_url, key, retrying)
        self._http = httpx.Client(**self._settings.http)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- claims -------------------------------------------------------------------------------------------

    def score(
        self,
        claim: Row,
        lines: Sequence[Row] = (),
        diagnoses: Sequence[Row] = (),
        procedures: Sequence[Row] = (),
        *,
        explain: Explain = "flagged",
        locale: Locale = "en",
        store: bool = True,
        idempotency_key: str | None = None,
    ) -> ClaimScore:
        """The score of one claim: findings, risk and reasons."""
        ask = asks.score(claim, lines, diagnoses, procedures, _options(explain, locale, store))
        return self._send(ask, idempotency_key)

    def score_batch(self, bodies: Iterable[Row]) -> list[ClaimScore | ItemProblem]:
        """For each claim, in order, its score or its problem (which has `status` and `index` within its request).

        More than 1,000 are sent in several requests.
        """
        answers = [self._send(asks.score_batch(portion)) for portion in _portions(bodies)]
        return [item for answer in answers for item in answer]

    def add_claims(self, bodies: Iterable[Row]) -> list[AddedAnswer]:
        """What became of settled claims that are added to the history; an answer for each 1,000 of them."""
        return [self._send(asks.add_claims(portion)) for portion in _portions(bodies)]

    def outcomes(self, rows: Iterable[Row]) -> list[OutcomesAnswer]:
        """What became of the outcomes of investigations; an answer for each 1,000 of them."""
        return [self._send(asks.outcomes(portion)) for portion in _portions(rows)]

    # --- cases --------------------------------------------------------------------------------------------

    def cases(self, **query: object) -> CasesAnswer:
        """A page of the cases that are looked for, such as `state=["open", "evidence"], overdue=True, order="due"`."""
        return self._send(asks.cases(query))

    def case(self, case_id: str) -> CaseFileAnswer:
        """A case with all that was done in it."""
        return self._send(asks.case(case_id))

    def change_case(self, case_id: str, changes: CasePatch, *, idempotency_key: str | None = None) -> CaseStanding:
        """The case with the changes, all of them or none; the content of a file may be bytes."""
        return self._send(asks.change_case(case_id, changes), idempotency_key)

    def decide_case(self, case_id: str, decision: CaseDecision, *, idempotency_key: str | None = None) -> CaseStanding:
        """The case after a decision: proposed, signed, sent back, unfounded, appealed, closed."""
        return self._send(asks.decide_case(case_id, decision), idempotency_key)

    def case_file(self, case_id: str, number: int) -> bytes:
        """The content of a file of a case."""
        return self._send(asks.case_file(case_id, number))

    def case_pack(self, case_id: str, locale: Locale = "en") -> bytes:
        """All that a case rests on as one archive (ZIP), with the hash of each part."""
        return self._send(asks.case_pack(case_id, locale))

    # --- reading ------------------------------------------------------------------------------------------

    def decision(self, request_id: str) -> ClaimScore:
        """A decision as it was answered."""
        return self._send(asks.decision(request_id))

    def risk(self, entity: Entity, entity_id: str, locale: Locale = "en") -> EntityRisk:
        """The latest snapshot score of a provider, patient or physician."""
        return self._send(asks.risk(entity, entity_id, locale))

    @overload
    def report(
        self,
        claim_id: str,
        format: Literal["json"] = "json",
        locale: Locale = "en",
        *,
        request_id: str | None = None,
        audience: asks.Audience = "internal",
    ) -> dict[str, Any]: ...
    @overload
    def report(
        self,
        claim_id: str,
        format: Literal["html"],
        locale: Locale = "en",
        *,
        request_id: str | None = None,
        audience: asks.Audience = "internal",
    ) -> str: ...
    @overload
    def report(
        self,
        claim_id: str,
        format: Literal["pdf", "xlsx"],
        locale: Locale = "en",
        *,
        request_id: str | None = None,
        audience: asks.Audience = "internal",
    ) -> bytes: ...
    def report(
        self,
        claim_id: str,
        format: asks.Format = "json",
        locale: Locale = "en",
        *,
        request_id: str | None = None,
        audience: asks.Audience = "internal",
    ) -> Any:
        """The explanation report of a claim, as an object, a page, a document to print or a workbook.

        It is that of the latest decision, or of the one that is named; for the `provider` without others' data.
        """
        return self._send(asks.report(claim_id, format, locale, request_id, audience))

    def paper(
        self,
        kind: asks.Paper,
        format: asks.Format = "pdf",
        locale: Locale = "en",
        *,
        period: str | None = None,
        provider: str | None = None,
        least: int | None = None,
    ) -> bytes:
        """A periodic paper as its file: of a month (`2026-03`) or a quarter (`2026-Q1`), the last one unless named.

        A `scorecard` is of one `provider`; a `ranking` leaves out physicians with fewer claims than `least`.
        """
        query = {"period": period, "provider": provider, "least": least, "locale": locale}
        return self._send(asks.paper(kind, format, query))

    def ledger(self, **query: object) -> LedgerAnswer:
        """Who read or changed what, newest first, and the seal of the chain: `record`, `who`, `most`."""
        return self._send(asks.ledger(query))

    def model(self) -> ModelAnswer:
        """The models in force."""
        return self._send(asks.model())

    def ready(self) -> bool:
        """Whether the service is ready; asked once, and no is what nobody's answer means."""
        try:
            return self._http.get("/readyz", timeout=_TRIAL_SECONDS).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    # --- sending ------------------------------------------------------------------------------------------

    def _send(self, ask: Ask[_Answer], key: str | None = None) -> _Answer:
        trial, headers = Trial(self._settings.retrying), _headers(ask, key)
        while True:
            try:
                response = self._http.request(**_sent(ask, headers, trial))
            except httpx.TransportError as error:
                wait: float | None = trial.after_error(error)
            else:
                wait = trial.after_answer(response)
                if wait is None:
                    return ask.answer(response)
            time.sleep(wait or 0.0)


class AsyncFraudClient:
    """A client for asyncio; everything else is as in `FraudClient`."""

    def __init__(self, base_url: str, key: str | None = None, *, retrying: Retrying | None = None) -> None:
        self._settings = _Settings(base_url, key, retrying)
        self._http = httpx.AsyncClient(**self._settings.http)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- claims -------------------------------------------------------------------------------------------

    async def score(
        self,
        claim: Row,
        lines: Sequence[Row] = (),
        diagnoses: Sequence[Row] = (),
        procedures: Sequence[Row] = (),
        *,
        explain: Explain = "flagged",
        locale: Locale = "en",
        store: bool = True,
        idempotency_key: str | None = None,
    ) -> ClaimScore:
        """The score of one claim: findings, risk and reasons."""
        ask = asks.score(claim, lines, diagnoses, procedures, _options(explain, locale, store))
        return await self._send(ask, idempotency_key)

    async def score_batch(self, bodies: Iterable[Row]) -> list[ClaimScore | ItemProblem]:
        """For each claim, in order, its score or its problem; see `FraudClient.score_batch`."""
        answers = [await self._send(asks.score_batch(portion)) for portion in _portions(bodies)]
        return [item for answer in answers for item in answer]

    async def add_claims(self, bodies: Iterable[Row]) -> list[AddedAnswer]:
        """What became of settled claims that are added to the history; an answer for each 1,000 of them."""
        return [await self._send(asks.add_claims(portion)) for portion in _portions(bodies)]

    async def outcomes(self, rows: Iterable[Row]) -> list[OutcomesAnswer]:
        """What became of the outcomes of investigations; an answer for each 1,000 of them."""
        return [await self._send(asks.outcomes(portion)) for portion in _portions(rows)]

    # --- cases --------------------------------------------------------------------------------------------

    async def cases(self, **query: object) -> CasesAnswer:
        """A page of the cases that are looked for, such as `state=["open", "evidence"], overdue=True, order="due"`."""
        return await self._send(asks.cases(query))

    async def case(self, case_id: str) -> CaseFileAnswer:
        """A case with all that was done in it."""
        return await self._send(asks.case(case_id))

    async def change_case(
        self, case_id: str, changes: CasePatch, *, idempotency_key: str | None = None
    ) -> CaseStanding:
        """The case with the changes, all of them or none; the content of a file may be bytes."""
        return await self._send(asks.change_case(case_id, changes), idempotency_key)

    async def decide_case(
        self, case_id: str, decision: CaseDecision, *, idempotency_key: str | None = None
    ) -> CaseStanding:
        """The case after a decision: proposed, signed, sent back, unfounded, appealed, closed."""
        return await self._send(asks.decide_case(case_id, decision), idempotency_key)

    async def case_file(self, case_id: str, number: int) -> bytes:
        """The content of a file of a case."""
        return await self._send(asks.case_file(case_id, number))

    async def case_pack(self, case_id: str, locale: Locale = "en") -> bytes:
        """All that a case rests on as one archive (ZIP), with the hash of each part."""
        return await self._send(asks.case_pack(case_id, locale))

    # --- reading ------------------------------------------------------------------------------------------

    async def decision(self, request_id: str) -> ClaimScore:
        """A decision as it was answered."""
        return await self._send(asks.decision(request_id))

    async def risk(self, entity: Entity, entity_id: str, locale: Locale = "en") -> EntityRisk:
        """The latest snapshot score of a provider, patient or physician."""
        return await self._send(asks.risk(entity, entity_id, locale))

    @overload
    async def report(
        self,
        claim_id: str,
        format: Literal["json"] = "json",
        locale: Locale = "en",
        *,
        request_id: str | None = None,
        audience: asks.Audience = "internal",
    ) -> dict[str, Any]: ...
    @overload
    async def report(
        self,
        claim_id: str,
        format: Literal["html"],
        locale: Locale = "en",
        *,
        request_id: str | None = None,
        audience: asks.Audience = "internal",
    ) -> str: ...
    @overload
    async def report(
        self,
        claim_id: str,
        format: Literal["pdf", "xlsx"],
        locale: Locale = "en",
        *,
        request_id: str | None = None,
        audience: asks.Audience = "internal",
    ) -> bytes: ...
    async def report(
        self,
        claim_id: str,
        format: asks.Format = "json",
        locale: Locale = "en",
        *,
        request_id: str | None = None,
        audience: asks.Audience = "internal",
    ) -> Any:
        """The explanation report of a claim, as an object, a page, a document to print or a workbook.

        It is that of the latest decision, or of the one that is named; for the `provider` without others' data.
        """
        return await self._send(asks.report(claim_id, format, locale, request_id, audience))

    async def paper(
        self,
        kind: asks.Paper,
        format: asks.Format = "pdf",
        locale: Locale = "en",
        *,
        period: str | None = None,
        provider: str | None = None,
        least: int | None = None,
    ) -> bytes:
        """A periodic paper as its file: of a month (`2026-03`) or a quarter (`2026-Q1`), the last one unless named.

        A `scorecard` is of one `provider`; a `ranking` leaves out physicians with fewer claims than `least`.
        """
        query = {"period": period, "provider": provider, "least": least, "locale": locale}
        return await self._send(asks.paper(kind, format, query))

    async def ledger(self, **query: object) -> LedgerAnswer:
        """Who read or changed what, newest first, and the seal of the chain: `record`, `who`, `most`."""
        return await self._send(asks.ledger(query))

    async def model(self) -> ModelAnswer:
        """The models in force."""
        return await self._send(asks.model())

    async def ready(self) -> bool:
        """Whether the service is ready; asked once, and no is what nobody's answer means."""
        try:
            return (await self._http.get("/readyz", timeout=_TRIAL_SECONDS)).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    # --- sending ------------------------------------------------------------------------------------------

    async def _send(self, ask: Ask[_Answer], key: str | None = None) -> _Answer:
        trial, headers = Trial(self._settings.retrying), _headers(ask, key)
        while True:
            try:
                response = await self._http.request(**_sent(ask, headers, trial))
            except httpx.TransportError as error:
                wait: float | None = trial.after_error(error)
            else:
                wait = trial.after_answer(response)
                if wait is None:
                    return ask.answer(response)
            await asyncio.sleep(wait or 0.0)
