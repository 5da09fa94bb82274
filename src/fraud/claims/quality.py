"""The data-quality report of an import, as JSON and as one HTML file that needs no network.

What it shows are errors in data: a date that cannot be, a row that came twice, a person who is not on
file. They say something about the export, and nothing about fraud.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

from fraud.claims.checking import Feed
from fraud.claims.raw import RawFile
from fraud.claims.schema import TABLES
from fraud.claims.tallying import TableCount
from fraud.errors import Fault

__all__ = ["REPORT", "assess", "write"]

REPORT = "quality"
ABOUT = "These are errors in data. They say nothing about fraud."
EXAMPLES = 5
OLDEST_AGE = 120
# Half a cent a line: what rounding explains.
ROUNDING = 0.005
# A day so far behind nearly all others is taken for a typing error in the year.
FAR_DAYS = 366
NEARLY_ALL = 0.999


@dataclass(frozen=True)
class Check:
    """A condition over canonical tables that correct data never meets; counts rows of `table`."""

    code: str
    title: str
    table: str
    rows: str
    where: str
    example: str = "claim_id"


_WITH_PATIENT = "claims JOIN patients USING (patient_id)"
_LATEST = f"(SELECT quantile_disc(settled_at, {NEARLY_ALL}) + INTERVAL {FAR_DAYS} DAY FROM final_claims)"

IMPOSSIBLE = (
    Check(
        "discharged_before_admitted",
        "Discharged before admitted",
        "claims",
        "claims",
        "discharged_at < admitted_at",
    ),
    Check("settled_before_admitted", "Settled before admitted", "claims", "claims", "settled_at < admitted_at"),
    Check(
        "settled_before_discharged",
        "Settled before the day of discharge",
        "claims",
        "claims",
        "CAST(settled_at AS DATE) < CAST(discharged_at AS DATE)",
    ),
    Check("uploaded_before_admitted", "Sent before admitted", "claims", "claims", "uploaded_at < admitted_at"),
    Check(
        "admitted_after_death",
        "Admitted after the patient's death",
        "claims",
        _WITH_PATIENT,
        "CAST(admitted_at AS DATE) > died_on",
    ),
    Check(
        "admitted_before_birth",
        "Admitted before the patient's birth",
        "claims",
        _WITH_PATIENT,
        "CAST(admitted_at AS DATE) < birth_date",
    ),
    Check(
        "too_old",
        f"Patient older than {OLDEST_AGE} years on admission",
        "claims",
        _WITH_PATIENT,
        f"date_diff('year', birth_date, CAST(admitted_at AS DATE)) > {OLDEST_AGE}",
    ),
    Check(
        "far_future",
        f"Settled more than {FAR_DAYS} days after {NEARLY_ALL:.1%} of all claims",
        "claims",
        "claims",
        f"settled_at > {_LATEST}",
    ),
    Check("died_before_birth", "Died before birth", "patients", "patients", "died_on < birth_date", ""),
    Check("reported_before_ordered", "Reported before ordered", "lines", "lines", "reported_at < ordered_at"),
    Check("executed_before_ordered", "Carried out before ordered", "lines", "lines", "executed_at < ordered_at"),
    Check(
        "licence_backwards",
        "Licence ends before it begins",
        "physicians",
        "physicians",
        "licensed_to < licensed_from",
        "",
    ),
    Check(
        "decided_before_period",
        "Decided before the period begins",
        "outcomes",
        "outcomes",
        "decided_at < period_from",
        "",
    ),
)

AMOUNTS = (
    Check("nothing_charged", "Nothing charged", "claims", "claims", "total_amount = 0"),
    Check(
        "fund_over_total",
        "Fund pays more than all charges",
        "claims",
        "claims",
        f"fund_amount > total_amount + {ROUNDING}",
    ),
    Check(
        "deductible_over_total",
        "Deductible above all charges",
        "claims",
        "claims",
        f"deductible > total_amount + {ROUNDING}",
    ),
    Check(
        "lines_differ",
        "Lines do not add up to the claim",
        "claims",
        "(SELECT claim_id, any_value(total_amount) AS total, sum(amount) AS sum, count(*) AS n FROM claims "
        "JOIN lines USING (claim_id) GROUP BY claim_id)",
        f"abs(sum - total) > {ROUNDING} * (n + 1)",
    ),
)


@dataclass(frozen=True)
class Link:
    """A column that names a row of another table."""

    table: str
    column: str
    to: str
    to_column: str
    where: str = "true"

    @property
    def title(self) -> str:
        """The link in words."""
        of = f" of kind {self.to.removesuffix('s')}" if self.table == "outcomes" else ""
        return f"{self.table}{of} whose {self.column} is not in {self.to}"


LINKS = (
    Link("claims", "patient_id", "patients", "patient_id"),
    Link("claims", "provider_id", "providers", "provider_id"),
    Link("claims", "physician_id", "physicians", "physician_id"),
    Link("diagnoses", "claim_id", "claims", "claim_id"),
    Link("procedures", "claim_id", "claims", "claim_id"),
    Link("procedures", "physician_id", "physicians", "physician_id"),
    Link("lines", "claim_id", "claims", "claim_id"),
    Link("lines", "item_code", "catalogue", "item_code"),
    Link("physicians", "provider_id", "providers", "provider_id"),
    Link("outcomes", "entity_id", "claims", "claim_id", "entity = 'claim'"),
    Link("outcomes", "entity_id", "patients", "patient_id", "entity = 'patient'"),
    Link("outcomes", "entity_id", "providers", "provider_id", "entity = 'provider'"),
    Link("outcomes", "entity_id", "physicians", "physician_id", "entity = 'physician'"),
)


def assess(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[RawFile],
    feeds: Sequence[Feed],
    counts: Mapping[str, TableCount],
    faults: Sequence[Fault],
    left_out: Mapping[str, str],
) -> dict[str, Any]:
    """The report as plain JSON types, over the tables as they are after the import."""
    held = {name for name, count in counts.items() if count.rows}
    return {
        "about": ABOUT,
        "files": [{"name": f.name, "rows": f.rows, "bytes": f.size, "sha256": f.sha256} for f in files],
        "tables": {name: asdict(count) for name, count in counts.items()},
        "columns": [row for name in TABLES if name in held for row in _missing(connection, name)],
        "impossible": list(_checked(connection, IMPOSSIBLE, held)),
        "amounts": list(_checked(connection, AMOUNTS, held)),
        "orphans": list(_orphans(connection, held)),
        "distributions": _distributions(connection),
        "left_out": list(_left_out(connection, files, feeds, left_out)),
        "faults": [fault.as_dict() for fault in faults],
    }


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    return tuple(connection.execute(query).fetchall()[0])


def _missing(connection: duckdb.DuckDBPyConnection, name: str) -> Iterator[dict[str, Any]]:
    """Share of rows without a value, for each column that has one at all."""
    table = TABLES[name]
    counts = ", ".join(f'count("{column.name}")' for column in table.columns)
    rows, *filled = _one(connection, f"SELECT count(*), {counts} FROM final_{name}")
    for column, count in zip(table.columns, filled, strict=True):
        share = round(1 - count / rows, 6)
        yield {"table": name, "column": column.name, "missing": rows - count, "share": share}


def _can(check: Check, held: set[str]) -> bool:
    """Whether all tables that the check reads hold rows."""
    words = check.rows.replace("(", " ").replace(")", " ").split()
    return all(name in held for name in TABLES if name in words)


def _checked(
    connection: duckdb.DuckDBPyConnection, checks: Sequence[Check], held: set[str]
) -> Iterator[dict[str, Any]]:
    """Each check that has values to look at: without any, "none found" would reassure wrongly."""
    for check in checks:
        if not _can(check, held):
            continue
        rows = " ".join(f"final_{word} AS {word}" if word in held else word for word in check.rows.split())
        # Only claim numbers are shown: they lead to the row and name no person.
        shown = f"list({check.example} ORDER BY {check.example}) FILTER ({check.where})" if check.example else "[]"
        query = f"""SELECT count(*) FILTER ({check.where}), count({check.where}), ({shown})[:{EXAMPLES}]
            FROM {rows}"""
        count, of, examples = _one(connection, query)
        if of:
            yield {
                "code": check.code,
                "title": check.title,
                "table": check.table,
                "count": count,
                "of": of,
                "examples": examples or [],
            }


def _orphans(connection: duckdb.DuckDBPyConnection, held: set[str]) -> Iterator[dict[str, Any]]:
    """Rows that name a row which is not there. Links to a table that holds nothing say nothing."""
    for link in LINKS:
        if link.table not in held or link.to not in held:
            continue
        count, different, of = _one(
            connection,
            f"""SELECT count(*) FILTER (t.id IS NULL),
                count(DISTINCT r.{link.column}) FILTER (t.id IS NULL), count(*)
            FROM final_{link.table} AS r
            LEFT JOIN (SELECT DISTINCT {link.to_column} AS id FROM final_{link.to}) AS t
                ON t.id = r.{link.column}
            WHERE r.{link.column} IS NOT NULL AND {link.where}""",
        )
        if of:
            yield {
                "title": link.title,
                "table": link.table,
                "column": link.column,
                "to": link.to,
                "count": count,
                "different": different,
                "of": of,
            }


def _distributions(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Quantiles and histograms of amounts, and claims a month."""
    amounts = {name: _amounts(connection, name) for name in ("total_amount", "fund_amount", "self_amount")}
    months = connection.execute("""SELECT strftime(settled_at, '%Y-%m-01') AS month, count(*)
        FROM final_claims GROUP BY month ORDER BY month""").fetchall()
    kinds = connection.execute("""SELECT visit_type, count(*), round(sum(total_amount), 2)
        FROM final_claims GROUP BY visit_type ORDER BY visit_type""").fetchall()
    first, last = _one(connection, "SELECT min(admitted_at)::VARCHAR, max(settled_at)::VARCHAR FROM final_claims")
    return {
        "first_admitted": first,
        "last_settled": last,
        "amounts": {name: found for name, found in amounts.items() if found},
        "months": [{"month": month, "claims": count} for month, count in months],
        "visit_types": [{"visit_type": kind, "claims": n, "total_amount": total} for kind, n, total in kinds],
    }


def _amounts(connection: duckdb.DuckDBPyConnection, column: str) -> dict[str, Any]:
    """Histogram with five bins a decade: amounts span many powers of ten."""
    quantiles = "[0, 0.01, 0.25, 0.5, 0.75, 0.99, 1]"
    filled, zero, at = _one(
        connection,
        f"""SELECT count({column}), count(*) FILTER ({column} = 0), quantile_disc({column}, {quantiles})
        FROM final_claims""",
    )
    if not filled:
        return {}
    bins = connection.execute(f"""SELECT floor(log10({column}) * 5) AS bin, count(*) FROM final_claims
        WHERE {column} > 0 GROUP BY bin ORDER BY bin""").fetchall()
    return {
        "filled": filled,
        "zero": zero,
        "quantiles": dict(zip(("min", "p01", "p25", "p50", "p75", "p99", "max"), at, strict=True)),
        "bins": [{"from": _edge(place), "to": _edge(place + 1), "claims": count} for place, count in bins],
    }


def _edge(place: float) -> float:
    return float(f"{10 ** (place / 5):.4g}")


def _left_out(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[RawFile],
    feeds: Sequence[Feed],
    more: Mapping[str, str],
) -> Iterator[dict[str, Any]]:
    """Raw columns without a place in the tables, with the number of rows that fill them."""
    for file in files:
        read = frozenset[str]().union(*(feed.cells for feed in feeds if feed.index == file.index or not feed.file))
        unread = [(name, file.cell(name)) for place, name in enumerate(file.columns) if f"c{place}" not in read]
        if unread:
            counts = ", ".join(f"count({cell})" for _, cell in unread)
            filled = _one(connection, f"SELECT {counts} FROM {file.relation}")
            for (name, _), count in zip(unread, filled, strict=True):
                yield {"file": file.name, "column": name, "filled": count}
    for label, query in more.items():
        name, column = label.split(":", 1)
        yield {"file": name, "column": column, "filled": _one(connection, query)[0]}


def write(report: Mapping[str, Any], folder: Path) -> None:
    """Write `quality.json` and `quality.html` into the folder."""
    text = json.dumps(report, indent=2, ensure_ascii=False)
    (folder / f"{REPORT}.json").write_text(text + "\n", "utf-8")
    (folder / f"{REPORT}.html").write_text(_html(report), "utf-8")


def _html(report: Mapping[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("fraud.claims", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["count"] = lambda number: f"{number:,}"
    environment.filters["percent"] = _percent
    return environment.get_template(f"{REPORT}.html.j2").render(report=report, charts=list(_charts(report)))


def _percent(share: float) -> str:
    """A share that is neither all nor nothing never reads as 0 % or 100 %."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 < share < 1:
        return "> 99.9 %"
    return f"{share:.1%}".replace("%", " %")


def _charts(report: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Title and SVG of each chart."""
    found = report["distributions"]
    for name, amounts in found["amounts"].items():
        if amounts["bins"]:
            yield {"title": f"{name}, claims by size", "svg": _svg(_amount_chart(amounts["bins"]))}
    if found["months"]:
        yield {"title": "settled_at, claims a month", "svg": _svg(_month_chart(found["months"]))}


def _svg(chart: Any) -> str:
    import vl_convert

    return str(vl_convert.vegalite_to_svg(chart.to_dict()))


def _amount_chart(bins: Sequence[Mapping[str, float]]) -> Any:
    import altair as alt

    rows = [{"low": b["from"], "high": b["to"], "claims": b["claims"]} for b in bins]
    chart = alt.Chart(alt.Data(values=rows)).mark_bar(color=ACCENT)
    low = alt.X(
        "low:Q",
        title="amount",
        axis=alt.Axis(format="~s", tickCount=6),
        scale=alt.Scale(type="log", nice=False),
    )
    return _styled(chart.encode(x=low, x2="high:Q", y=alt.Y("claims:Q", title="claims"), y2=alt.datum(0)))


def _month_chart(months: Sequence[Mapping[str, Any]]) -> Any:
    import altair as alt

    chart = alt.Chart(alt.Data(values=list(months))).mark_bar(color=ACCENT)
    month = alt.X("month:T", timeUnit="yearmonth", title="month settled")
    return _styled(chart.encode(x=month, y=alt.Y("claims:Q", title="claims")))


ACCENT = "#2563eb"


def _styled(chart: Any) -> Any:
    quiet = {
        "labelColor": "#475569",
        "titleColor": "#475569",
        "gridColor": "#e2e8f0",
        "domainColor": "#cbd5e1",
    }
    return (
        chart.properties(width=420, height=170, background="transparent")
        .configure_axis(**quiet)
        .configure_view(stroke=None)
    )
