"""The engine: what a definition may say, and what happens when it says something else."""

from __future__ import annotations

import textwrap
from datetime import date, datetime
from pathlib import Path
from types import FunctionType

import ibis
import numpy as np
import pytest

from fraud.errors import CatalogueError, InputError, NotKnownError
from fraud.signals.catalogue import Catalogue, load_catalogue
from fraud.signals.definition import Example, Signal, signal
from fraud.signals.evidence import evidence
from fraud.signals.examples import example_tables, example_value, world
from fraud.signals.expressions import ratio
from fraud.signals.frames import FrameBuilder
from fraud.signals.limits import InForce, Limit, load_limits
from fraud.signals.lineage import absent_columns, columns_read
from fraud.signals.peers import MIN_PEERS, Peers, learn_peers
from fraud.signals.pruning import pruned_sql
from fraud.signals.scaffold import write_scaffold

BOTH = {"en": "{value}", "zh": "{value}"}
LIMITS = """
[near_days]
doc = "A gap of at most this many days is near."
unit = "days"
tag = "DEF"
source = "nowhere"
checked_on = 2026-01-01
values = [{ from = 2020-01-01, value = 30 }, { from = 2024-01-01, value = 10 }]
"""


def _room(path: Path, **files: str) -> Catalogue:
    """A catalogue of these files, each `folder__name=code`."""
    (path / "limits.toml").write_text(LIMITS, "utf-8")
    (path / "sources.toml").write_text('[law]\ntitle = { en = "Law", zh = "法" }\nurl = ""\n', "utf-8")
    for name, code in files.items():
        folder, _, stem = name.partition("__")
        (path / folder).mkdir(exist_ok=True)
        head = 'from fraud.signals import ratio, share, signal\nT = {"en": "{value}", "zh": "{value}"}\n'
        (path / folder / f"{stem}.py").write_text(head + textwrap.dedent(code), "utf-8")
    return load_catalogue(path)


def _value(catalogue: Catalogue, signal_id: str, **rows: object) -> float | None:
    return example_value(catalogue, catalogue[signal_id], Example(None, False, rows))


NEAR = """
    @signal(title=T, says=T, unit="claims", riskier="high", default=0)
    def near(claim, past, limits):
        "Claims shortly before this one with its diagnosis."
        same = past.primary_diagnosis == claim.primary_diagnosis
        return past.count(where=same & (past.gap_days <= limits.near_days))
"""


def test_a_limit_is_the_one_in_force_on_the_day_of_the_claim(tmp_path: Path) -> None:
    catalogue = _room(tmp_path, claim__near=NEAR)
    past = [{"days_ago": 20}]
    assert _value(catalogue, "claim.near", past=past) == 0
    early = datetime(2023, 6, 1, 9)
    before = [{"admitted_at": datetime(2023, 5, 12, 9)}]
    assert _value(catalogue, "claim.near", claim={"admitted_at": early}, past=before) == 1


def test_a_reduction_may_compare_earlier_claims_with_the_claim_itself(tmp_path: Path) -> None:
    catalogue = _room(tmp_path, claim__near=NEAR)
    past = [{"days_ago": 5}, {"days_ago": 6, "primary_diagnosis": "E11"}]
    assert _value(catalogue, "claim.near", past=past) == 1


def test_evidence_is_exactly_the_rows_that_the_value_counts(tmp_path: Path) -> None:
    catalogue = _room(tmp_path, claim__near=NEAR)
    near = catalogue["claim.near"]
    rows = {"past": [{"days_ago": 5, "total_amount": 70.0}, {"days_ago": 50}]}
    connection = world(example_tables(near, Example(1, True, rows)))
    connection.execute("CREATE VIEW target AS SELECT * FROM claims WHERE claim_id = 'C'")
    (found,) = evidence(FrameBuilder(connection, catalogue), near, {"claim_id": "C"})
    assert (found.scope, found.total, found.amount) == ("past", 1, 70.0)
    connection.close()


def test_windows_roll_up_claim_signals(tmp_path: Path) -> None:
    catalogue = _room(
        tmp_path,
        claim__near=NEAR,
        provider__rolled="""
            @signal(title=T, says=T, unit="claims", riskier="high", default=None)
            def mean_near(window_signals):
                "Mean of a claim signal."
                return window_signals.near.mean()
        """,
    )
    window = [{"patient_id": "A", "days_ago": 40}, {"patient_id": "A", "days_ago": 35}]
    assert _value(catalogue, "provider.mean_near", window=window) == 0.5


def test_distinct_reductions_are_computed_once(tmp_path: Path) -> None:
    code = NEAR + NEAR.replace("def near", "def near_again").replace("limits.near_days))", "limits.near_days)) * 2")
    catalogue = _room(tmp_path, claim__near=code)
    sql = pruned_sql(catalogue.compiler("claim").query(catalogue.of("claim")))
    assert sql.count("COUNT(") == 1


def test_lineage_names_the_columns_that_decide_a_value_and_what_the_data_lack(tmp_path: Path) -> None:
    catalogue = _room(tmp_path, claim__near=NEAR)
    compiler, near = catalogue.compiler("claim"), catalogue["claim.near"]
    assert ("claims", "primary_diagnosis") in columns_read(compiler, near)
    assert ("claims", "total_amount") not in columns_read(compiler, near)
    held = {"claims": {"claim_id", "patient_id", "admitted_at", "discharged_at", "settled_at"}}
    assert absent_columns(compiler, near, held) == ("claims.primary_diagnosis",)


def test_a_signal_without_its_columns_is_skipped_with_the_reason(tmp_path: Path) -> None:
    catalogue = _room(tmp_path, claim__near=NEAR)
    connection = world({})
    builder = FrameBuilder(connection, catalogue, present={"claims": {"claim_id"}})
    assert builder.usable(catalogue.of("claim")) == []
    assert "claims.discharged_at" in builder.skipped["claim.near"]
    connection.close()


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def odd(claims): 'x'\n    return claims.count()", "is no relation of a claim"),
        ("def odd(past): 'x'\n    return past.no_such_column.sum()", "cannot be built"),
        ("def odd(past): 'x'\n    return 1", "must return one Ibis expression"),
        ("def odd(past, lines): 'x'\n    return (past.total_amount + lines.amount).sum()", "one relation"),
    ],
)
def test_a_wrong_definition_is_refused_with_what_would_be_right(tmp_path: Path, code: str, says: str) -> None:
    body = code.replace(": 'x'\n    ", ":\n    ")
    catalogue = _room(tmp_path, claim__odd=f"@signal(title=T, says=T, unit='x', riskier='high', default=0)\n{body}\n")
    with pytest.raises(CatalogueError, match=says):
        catalogue.compiler("claim").compile(catalogue["claim.odd"])


def test_every_dangling_name_of_a_catalogue_is_reported_at_once(tmp_path: Path) -> None:
    code = """
        @signal(title=T, says=T, unit="x", riskier="high", limit="neer_days", cites=["lawe"])
        def odd(past):
            "Odd."
            return past.count()
    """
    with pytest.raises(CatalogueError) as caught:
        _room(tmp_path, claim__odd=code)
    assert 'did you mean "near_days"?' in caught.value.message
    assert 'did you mean "law"?' in caught.value.message


def test_a_file_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"claim/broken\.py: cannot be loaded: NameError"):
        _room(tmp_path, claim__broken="nonsense()\n")


def test_an_unknown_signal_comes_with_the_nearest_name(tmp_path: Path) -> None:
    catalogue = _room(tmp_path, claim__near=NEAR)
    with pytest.raises(NotKnownError, match='did you mean "claim.near"'):
        catalogue["claim.nere"]


def test_both_languages_are_demanded() -> None:
    with pytest.raises(CatalogueError, match="must have exactly"):
        signal(title={"en": "x"}, says=BOTH, unit="x", riskier="high")(lambda past: past.count())


def test_the_digest_follows_the_code_and_the_limits_but_not_the_words(tmp_path: Path) -> None:
    def digest(name: str, code: str, limits: str = LIMITS) -> str:
        room = tmp_path / name
        room.mkdir()
        _room(room, claim__near=code)
        (room / "limits.toml").write_text(limits, "utf-8")
        return load_catalogue(room).digests["claim.near"]

    usual = digest("usual", NEAR)
    assert digest("words", NEAR.replace("Claims shortly", "The claims shortly")) == usual
    assert digest("comment", NEAR.replace("return past", "# why\n        return past")) == usual
    assert digest("code", NEAR.replace("<=", "<")) != usual
    assert digest("limit", NEAR, LIMITS.replace("value = 10", "value = 11")) != usual


def test_the_lock_tells_a_changed_definition_from_a_new_version(tmp_path: Path) -> None:
    catalogue = _room(tmp_path, claim__near=NEAR)
    (tmp_path / "catalogue.lock").write_text(catalogue.lock(), "utf-8")
    assert catalogue.lock_faults() == []
    changed = _room(tmp_path, claim__near=NEAR.replace("<=", "<"))
    assert "without a new version" in changed.lock_faults()[0]
    raised = _room(tmp_path, claim__near=NEAR.replace("<=", "<").replace("default=0", "default=0, version=2"))
    assert "is not in the lock yet" in raised.lock_faults()[0]


def test_a_limit_has_no_value_before_its_first_day() -> None:
    limit = Limit("x", "days", "DEF", "s", date(2026, 1, 1), "", (InForce(date(2024, 1, 1), 3.0),))
    assert limit.on(date(2023, 12, 31)) is None
    assert limit.on(date(2024, 1, 1)) == 3.0


def test_wrong_limits_are_reported_all_at_once(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text('[a]\nunit = "days"\n[b]\ntag = "REG"\nunit = "x"\nvalues = [{ value = 1 }]\n', "utf-8")
    with pytest.raises(CatalogueError) as caught:
        load_limits(path)
    assert "a: tag must be one of" in caught.value.message
    assert "b: each value needs `from` and `value`" in caught.value.message


def test_ratio_of_nothing_is_not_known() -> None:
    one = ibis.literal(1.0)
    assert "NULLIF" in str(ibis.to_sql(ratio(one, ibis.literal(0.0)), dialect="duckdb"))


def test_peers_are_widened_until_there_are_enough_of_them() -> None:
    few, many = MIN_PEERS - 1, MIN_PEERS
    attributes = [("hospital", "tertiary", "north")] * few + [("hospital", "tertiary", "south")] * many
    values = np.arange(few + many, dtype=float)[:, None]
    peers = learn_peers("provider", ["x"], values, attributes)
    assert peers.group_of(("hospital", "tertiary", "south"))[1].n == many
    assert peers.group_of(("hospital", "tertiary", "north"))[1].n == few + many
    assert peers.group_of(("clinic", None, None))[0] == ()


def test_peer_standing_is_robust_and_survives_storage() -> None:
    values = np.array([[0.0], [1.0], [2.0], [3.0], [1000.0]])
    attributes = [(None, None, None)] * 5
    peers = learn_peers("provider", ["x"], values, attributes)
    z, percentile = peers.standing(values, attributes)
    assert z[2, 0] == 0.0
    assert z[4, 0] == 10.0
    assert percentile[4, 0] > percentile[3, 0] > percentile[0, 0]
    again = Peers.from_arrow("provider", peers.to_arrow())
    assert np.array_equal(again.standing(values, attributes)[0], z)


@pytest.mark.parametrize("folder", ["claim", "patient", "provider", "physician", "network"])
def test_a_new_signal_starts_from_a_template_that_works(tmp_path: Path, folder: str) -> None:
    _room(tmp_path)
    path = write_scaffold(tmp_path, f"{folder}.first_try")
    found: Signal = load_catalogue(tmp_path)[f"{folder}.first_try"]
    assert path.is_file()
    for example in found.examples:
        assert example_value(load_catalogue(tmp_path), found, example) == example.value
    with pytest.raises(InputError, match="exists already"):
        write_scaffold(tmp_path, f"{folder}.first_try")


def test_a_scaffold_refuses_what_is_no_id(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"folder\.name"):
        write_scaffold(tmp_path, "elsewhere.x")


def test_the_rows_behind_an_extreme_are_those_beyond_the_limit(catalogue: Catalogue) -> None:
    rule = catalogue["claim.times_billed"]
    lines = [{"item_code": "A"}, {"item_code": "B"}, {"item_code": "A"}]
    connection = world(example_tables(rule, Example(2, True, {"lines": lines})))
    connection.execute("CREATE VIEW target AS SELECT * FROM claims WHERE claim_id = 'C'")
    (found,) = evidence(FrameBuilder(connection, catalogue), rule, {"claim_id": "C"})
    assert found.lines == (1, 3)
    connection.close()


def test_a_signal_whose_source_is_nowhere_says_so() -> None:
    """Its digest would be that of any other signal."""
    code = compile("def nowhere(lines):\n    return lines.count()\n", "<nowhere>", "exec").co_consts[0]
    both = {"en": "x", "zh": "x"}
    made = Signal(FunctionType(code, {}), "claim", "nowhere", both, both, "lines", "high")
    with pytest.raises(CatalogueError, match="nowhere: its source cannot be read"):
        made.digest({})
