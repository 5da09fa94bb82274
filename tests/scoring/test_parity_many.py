"""Many claims at once have the signals that each has alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fraud.claims.folder import ClaimsFolder, connect
from fraud.errors import CatalogueError
from fraud.scoring.claim_signals import ClaimSignals
from fraud.scoring.knowledge import Knowledge
from fraud.scoring.relevance import RelevantLines
from fraud.scoring.request_program import Resolver
from fraud.scoring.rows import RequestRows
from fraud.scoring.sample import claim_bundles
from fraud.scoring.shapes import ClaimBundle, History
from fraud.signals.catalogue import Catalogue
from fraud.signals.compiling import Reduction
from fraud.signals.norms import learn_norms, no_norms

Requests = list[tuple[ClaimBundle, History]]


@pytest.fixture(scope="module")
def tables(city: ClaimsFolder) -> dict[str, pa.Table]:
    """Norms of the small city and its knowledge library."""
    connection = connect()
    city.attach(connection)
    library = {n: connection.sql(f'SELECT * FROM "{n}"').to_arrow_table() for n in ("catalogue", "exclusions")}
    norms = learn_norms(connection)
    connection.close()
    return {"norms": norms, "items": library["catalogue"], "exclusions": library["exclusions"]}


@pytest.fixture(scope="module")
def online(catalogue: Catalogue, tables: dict[str, pa.Table]) -> ClaimSignals:
    """All claim signals."""
    return ClaimSignals(catalogue, catalogue.of("claim"), **tables)


@pytest.fixture(scope="module")
def knowledge(tables: dict[str, pa.Table]) -> Knowledge:
    """What is known apart from claims."""
    return Knowledge.of(**tables)


@pytest.fixture(scope="module")
def requests(city: ClaimsFolder) -> Requests:
    """The last 256 claims with what is known of their patients, providers and physicians."""
    bundles = list(claim_bundles(city))
    of_patient: dict[str, list[ClaimBundle]] = {}
    for bundle in bundles:
        of_patient.setdefault(bundle.claim["patient_id"], []).append(bundle)
    connection = connect()
    city.attach(connection)
    rows = {
        n: {r[f"{n}_id"]: r for r in connection.sql(f"SELECT * FROM {n}s").to_arrow_table().to_pylist()}
        for n in ("patient", "provider", "physician")
    }
    connection.close()
    return [(b, _history(b, of_patient[b.claim["patient_id"]], rows)) for b in bundles[-256:]]


def _history(own: ClaimBundle, others: list[ClaimBundle], rows: dict[str, dict[str, dict[str, object]]]) -> History:
    claims = [b.claim for b in others]
    lines = [line for b in others for line in b.lines]
    parties = {n: rows[n].get(own.claim[f"{n}_id"]) for n in rows}
    return History(claims=claims, lines=lines, **parties)


def test_every_signal_of_a_claim_is_the_same_alone_and_among_many(online: ClaimSignals, requests: Requests) -> None:
    together = online.compute_many(requests)
    assert len(together) == len(requests) == 256
    wrong: set[str] = set()
    for request, many in zip(requests, together, strict=True):
        one = online.compute(*request).values
        assert list(one) == list(many.values)
        close = np.isclose(list(one.values()), list(many.values.values()), rtol=1e-12, atol=1e-12, equal_nan=True)
        wrong |= {name for name, same in zip(one, close, strict=True) if not same}
    assert wrong == set()
    assert sum(v != 0 for c in together for v in c.values.values()) > 1_000


def test_lines_of_earlier_claims_that_can_count_for_no_signal_are_left_out(
    catalogue: Catalogue, online: ClaimSignals, requests: Requests, knowledge: Knowledge
) -> None:
    compiler = catalogue.compiler("claim")
    reductions = [r for s in online.signals for r in compiler.compile(s).reductions]
    rows = [RequestRows(*request, knowledge) for request in requests]
    RelevantLines(Resolver(compiler), reductions, knowledge, many=1).choose(rows)
    before, after = (sum(len(lines) for lines in all_of_them) for all_of_them in _earlier_lines(requests, rows))
    assert 0 < after < before / 2
    # What a claim bills again is never left out.
    for one in rows:
        again = [row["item_code"] for row in one.history.lines if row["item_code"] in one.now_quantity]
        assert [row["item_code"] for row in one.earlier_lines if row["item_code"] in one.now_quantity] == again


def _earlier_lines(requests: Requests, rows: list[RequestRows]) -> tuple[list[Any], list[Any]]:
    return [history.lines for _, history in requests], [one.earlier_lines for one in rows]


def test_no_line_is_left_out_where_any_may_count(
    catalogue: Catalogue, requests: Requests, knowledge: Knowledge
) -> None:
    compiler = catalogue.compiler("claim")
    lines = compiler.scopes["past_lines"]
    any_line = Reduction(lines, lines.stub.quantity.sum(where=lines.stub.days_ago < 5).op())
    rows = [RequestRows(*request, knowledge) for request in requests]
    RelevantLines(Resolver(compiler), [any_line], knowledge, many=1).choose(rows)
    before, after = _earlier_lines(requests, rows)
    assert after == before


def test_what_is_not_at_hand_of_an_earlier_claim_is_refused(catalogue: Catalogue) -> None:
    def level(past):  # type: ignore[no-untyped-def]
        """Earlier claims at houses of the third level."""
        return past.count(where=past.provider_level == "tertiary")

    odd = replace(next(s for s in catalogue.of("claim") if s.scopes == ("past",)), function=level, limit=None)
    with pytest.raises(CatalogueError, match="provider_level of an earlier claim"):
        ClaimSignals(catalogue, [odd], norms=no_norms())


def test_lines_behind_a_rule_are_the_same_alone_and_among_many(online: ClaimSignals, requests: Requests) -> None:
    ids = [s.id for s in online.signals]
    some = requests[::6]
    found = [online.lines_behind(c, ids) for c in online.compute_many(some)]
    assert found == [online.lines_behind(online.compute(*r), ids) for r in some]
    assert any(lines for rules in found for lines, _ in rules.values())


def test_the_order_of_claims_computed_together_changes_nothing(online: ClaimSignals, requests: Requests) -> None:
    forward = online.compute_many(requests[:64])
    backward = online.compute_many(requests[:64][::-1])[::-1]
    for one, other in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(list(one.values.values()), list(other.values.values()))


def test_no_claims_have_no_signals(online: ClaimSignals) -> None:
    assert online.compute_many([]) == []
