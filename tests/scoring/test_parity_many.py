"""Many claims at once have the signals that each has alone."""

from __future__ import annotations

import numpy as np
import pytest

from fraud.claims.folder import ClaimsFolder, connect
from fraud.scoring.claim_signals import ClaimSignals
from fraud.scoring.sample import claim_bundles
from fraud.scoring.shapes import ClaimBundle, History
from fraud.signals.catalogue import Catalogue
from fraud.signals.norms import learn_norms

Requests = list[tuple[ClaimBundle, History]]


@pytest.fixture(scope="module")
def online(city: ClaimsFolder, catalogue: Catalogue) -> ClaimSignals:
    """All claim signals, with norms of the small city and its knowledge library."""
    connection = connect()
    city.attach(connection)
    tables = {n: connection.sql(f'SELECT * FROM "{n}"').to_arrow_table() for n in ("catalogue", "exclusions")}
    signals = catalogue.of("claim")
    norms = learn_norms(connection)
    connection.close()
    return ClaimSignals(catalogue, signals, norms=norms, items=tables["catalogue"], exclusions=tables["exclusions"])


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
