"""The canonical claims tables: one definition that importers, signals, the API and the docs share.

A table is a name, a key and columns; everything else (Arrow, Ibis and SQL types, the request body, the
table in `docs/claims.md`) is derived from it, so that nothing can disagree with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import pyarrow as pa

__all__ = ["COLUMN_TYPES", "TABLES", "Column", "Table", "table"]

Kind = Literal["id", "text", "ts", "date", "money", "float", "int", "bool", "ids"]

# Arrow, and SQL as DuckDB and Spark understand it. Times are civil times of the payer: no zone.
COLUMN_TYPES: dict[str, tuple[pa.DataType, str]] = {
    "id": (pa.string(), "VARCHAR"),
    "text": (pa.string(), "VARCHAR"),
    "ts": (pa.timestamp("us"), "TIMESTAMP"),
    "date": (pa.date32(), "DATE"),
    "money": (pa.float64(), "DOUBLE"),
    "float": (pa.float64(), "DOUBLE"),
    "int": (pa.int64(), "BIGINT"),
    "bool": (pa.bool_(), "BOOLEAN"),
    "ids": (pa.list_(pa.string()), "VARCHAR[]"),
}


@dataclass(frozen=True)
class Column:
    """One column: `values` closes the set of a text column, `signed` allows money below zero."""

    name: str
    kind: Kind
    doc: str
    required: bool = False
    values: tuple[str, ...] = ()
    signed: bool = False

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type."""
        return COLUMN_TYPES[self.kind][0]

    @property
    def sql(self) -> str:
        """The SQL type, as DuckDB names it."""
        return COLUMN_TYPES[self.kind][1]

    @property
    def is_number(self) -> bool:
        """Whether the column holds money, a quantity or a count."""
        return self.kind in ("money", "float", "int")


@dataclass(frozen=True)
class Table:
    """One canonical table; `grain` says what a row is, `key` what makes it unique."""

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """Columns by name."""
        return {column.name: column for column in self.columns}

    @cached_property
    def arrow(self) -> pa.Schema:
        """The Arrow schema; required columns are not nullable."""
        return pa.schema([pa.field(c.name, c.arrow, nullable=not c.required) for c in self.columns])

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Names of the columns that no row may lack."""
        return tuple(c.name for c in self.columns if c.required)


def _column(text: str) -> Column:
    """A column from `name[*] kind[=a|b] [signed]: what it holds`."""
    head, doc = text.split(": ", 1)
    name, kind, *flags = head.split()
    kind, _, values = kind.partition("=")
    return Column(
        name=name.rstrip("*"),
        kind=kind,  # type: ignore[arg-type]
        doc=doc,
        required=name.endswith("*"),
        values=tuple(values.split("|")) if values else (),
        signed="signed" in flags,
    )


def _table(name: str, grain: str, key: str, columns: str) -> Table:
    lines = (line.strip() for line in columns.strip().splitlines())
    return Table(name, grain, tuple(key.split()), tuple(_column(line) for line in lines if line))


_CLAIMS = _table(
    "claims",
    "one settled (or about to be settled) claim",
    "claim_id",
    """
    claim_id* id: the claim
    patient_id* id: the insured person, pseudonymised
    provider_id* id: the institution that bills
    physician_id id: the physician in charge
    department text: department of the provider
    visit_type* text=outpatient|inpatient|emergency|pharmacy|chronic|long_term_care: kind of care
    registered bool: whether the visit was registered at the desk
    admitted_at* ts: start of the visit or stay
    discharged_at ts: end of the stay; the same as admitted_at for a visit
    settled_at* ts: when the payer learns of it; all point-in-time logic runs on this
    uploaded_at ts: when this version was sent; a later version of a claim replaces it
    primary_diagnosis text: ICD code without the dot
    drg text: diagnosis-related group
    drg_weight float: relative weight of the group
    discharge_status text: how the stay ended
    planned bool: whether the stay was planned
    insured_region text: region that insures the person
    care_region text: region of the provider
    out_of_area text=none|resident|resident_unsettled|referral|self_arranged|emergency: care outside the region
    settlement_channel text=direct|manual: settled at the desk, or reimbursed later
    identity_check text=pass|fail|absent: outcome of the identity check
    total_amount* money: all charges
    fund_amount* money: paid by the fund
    self_amount money: paid by the patient
    deductible money: the part of the patient's share that is deductible
    currency text: ISO 4217 code
    invoice_no id: number of the invoice, pseudonymised
    payee_account id: account paid, pseudonymised
    terminal_id id: terminal of the settlement
    operator_id id: member of the payer's staff who handled it
    """,
)
_DIAGNOSES = _table(
    "diagnoses",
    "one diagnosis of a claim",
    "claim_id position kind",
    """
    claim_id* id: the claim
    position* int: 1 is the primary one
    code* text: ICD code without the dot
    kind text=admission|discharge: when it was made
    present_on_admission bool: whether it was there on admission
    """,
)
_PROCEDURES = _table(
    "procedures",
    "one procedure of a claim",
    "claim_id position",
    """
    claim_id* id: the claim
    position* int: 1 is the principal one
    code* text: procedure code without the dot
    performed_at ts: when it was done
    physician_id id: who did it
    """,
)
_LINES = _table(
    "lines",
    "one billed item of a claim",
    "claim_id line_no",
    """
    claim_id* id: the claim
    line_no* int: number of the line within the claim
    item_code* text: code in the catalogue
    local_item_code text: the provider's own code
    item_name text: name as billed
    quantity* float: units billed
    unit_price money: price of one unit
    amount* money: amount of the line
    service_at ts: when the service was given
    ordered_at ts: when it was ordered
    executed_at ts: when it was carried out
    reported_at ts: when its report was written
    report_positive bool: whether the report found something
    days_supply float: days that a dispensed drug lasts
    physician_id id: who ordered it
    trace_code id: trace code of the drug's box
    dispensed_item_code text: what was handed out, where it differs from the item billed
    """,
)
_PATIENTS = _table(
    "patients",
    "one insured person",
    "patient_id",
    """
    patient_id* id: the person, pseudonymised
    birth_date date: date of birth
    sex text=male|female: sex as registered
    insurance_type text=employee|resident|other: scheme
    insured_region text: region that insures the person
    died_on date: date of death
    assistance text=none|destitute|low_income|low_income_family|expenditure: medical assistance
    assistance_from date: first day of assistance
    assistance_to date: last day of assistance
    chronic_conditions ids: registered chronic conditions
    """,
)
_PROVIDERS = _table(
    "providers",
    "one institution",
    "provider_id",
    """
    provider_id* id: the institution
    name text: its name
    kind text=hospital|clinic|pharmacy|long_term_care: kind of institution
    level text=tertiary|secondary|primary|other: level of care
    region text: region
    licensed_beds int: beds on the licence
    stations int: dialysis stations
    latitude float signed: degrees north
    longitude float signed: degrees east
    opened_on date: first day of business
    suspended_from date: first day of a suspension
    suspended_to date: last day of a suspension
    """,
)
_PHYSICIANS = _table(
    "physicians",
    "one physician",
    "physician_id",
    """
    physician_id* id: the physician
    provider_id id: where registered
    patient_id id: the physician as an insured person
    specialty text: specialty
    title text: title
    licensed_from date: first day of the licence
    licensed_to date: last day of the licence
    suspended_from date: first day of a suspension
    suspended_to date: last day of a suspension
    """,
)
_CATALOGUE = _table(
    "catalogue",
    "one billable item of the knowledge library",
    "item_code",
    """
    item_code* text: the item
    name text: its name
    category* text=drug|examination|laboratory|treatment|surgery|consumable|bed|nursing|therapy|other: what it is
    class text=A|B|C|special_A|special_B: class of reimbursement
    price_cap money: highest price of one unit
    sex_limit text=male|female: only for this sex
    age_min int: lowest age in years
    age_max int: highest age in years
    indications ids: ICD prefixes that it is paid for
    level_limit text: lowest level of provider
    visit_type_limit text: only for this kind of visit
    max_per_day float: most units a day
    max_days_supply float: most days of supply
    minutes float: staff time of one unit
    atc text: ATC class of a drug
    large_equipment bool: whether large equipment is used
    dialysis bool: whether it is a dialysis session
    """,
)
_EXCLUSIONS = _table(
    "exclusions",
    "one pair of items that may not be billed together",
    "item_code included_item_code kind",
    """
    item_code* text: the item
    included_item_code* text: the item that it includes
    kind text=included|package_part: contained, or part of a package
    valid_from date: first day in force
    valid_to date: last day in force
    """,
)
_OUTCOMES = _table(
    "outcomes",
    "one finding of an investigation; append-only, the only source of labels",
    "entity entity_id verdict violation decided_at",
    """
    entity* text=claim|patient|provider|physician: what was investigated
    entity_id* id: which one
    verdict* text=confirmed_fraud|confirmed_abuse|waste|improper_payment|false_positive|appeal_upheld|insufficient_evidence|data_error|operation_error|pending: what was found
    violation text: type of violation (T-number)
    period_from date: first day of the period looked at
    period_to date: last day of the period looked at
    decided_at* ts: a label may be used only by work dated after this
    amount money: amount at stake or recovered
    investigators ids: who decided
    source text: where the outcome comes from
    """,  # noqa: E501 - the closed set of verdicts reads best on one line
)

TABLES: dict[str, Table] = {
    t.name: t
    for t in (
        _CLAIMS,
        _DIAGNOSES,
        _PROCEDURES,
        _LINES,
        _PATIENTS,
        _PROVIDERS,
        _PHYSICIANS,
        _CATALOGUE,
        _EXCLUSIONS,
        _OUTCOMES,
    )
}


def table(name: str) -> Table:
    """The canonical table of that name."""
    return TABLES[name]
