"""The papers in which the facts behind a figure are recorded: what to ask for before an explanation is believed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fraud.signals.frames import FrameBuilder
from fraud.signals.lineage import columns_read

__all__ = ["PAPERS", "papers_for", "records_behind"]

# Papers by the columns that only they can prove, the most telling first. Keys, dates of settlement and the payer's own
# item list prove nothing by themselves, and are left out.
PAPERS: Mapping[str, frozenset[str]] = {
    "death": frozenset({"patients.died_on"}),
    "identity": frozenset({"claims.identity_check", "patients.birth_date", "patients.sex"}),
    "licence": frozenset(
        {
            "providers.licensed_beds",
            "providers.stations",
            "providers.level",
            "providers.suspended_from",
            "physicians.suspended_from",
            "physicians.licensed_from",
            "physicians.licensed_to",
            "physicians.specialty",
        }
    ),
    "examination": frozenset({"lines.reported_at", "lines.report_positive", "catalogue.large_equipment"}),
    "dispensing": frozenset({"lines.trace_code", "lines.dispensed_item_code", "lines.days_supply"}),
    "operation": frozenset({"procedures.code", "procedures.performed_at", "procedures.position"}),
    "payment": frozenset(
        {
            "claims.payee_account",
            "claims.invoice_no",
            "claims.operator_id",
            "claims.settlement_channel",
            "claims.terminal_id",
        }
    ),
    "assistance": frozenset({"patients.assistance", "patients.assistance_from"}),
    "presence": frozenset({"joint_stays.other_id", "ties.joint_days", "rings.members", "network.other_id"}),
    "prices": frozenset({"lines.unit_price", "catalogue.price_cap", "lines.local_item_code"}),
    "roster": frozenset({"catalogue.minutes"}),
    "orders": frozenset({"lines.ordered_at", "lines.executed_at", "lines.item_code", "lines.quantity"}),
    "diagnosis": frozenset({"diagnoses.code", "claims.primary_diagnosis", "claims.drg", "claims.drg_weight"}),
    "stay": frozenset({"claims.discharged_at", "claims.planned"}),
    "visits": frozenset({"claims.patient_id"}),
}
# More than this nobody asks for at once.
MOST = 2


def papers_for(columns: Iterable[str]) -> tuple[str, ...]:
    """Keys of the papers to ask for, the most telling first; the patient's visits where nothing else is known.

    >>> papers_for(["lines.item_code", "lines.reported_at"])
    ('examination', 'orders')
    """
    read = frozenset(columns)
    found = [paper for paper, proved in PAPERS.items() if proved & read][:MOST]
    return tuple(found) or ("visits",)


def records_behind(builder: FrameBuilder, ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The papers by signal id: what proves the columns that each of these signals reads."""
    return {i: _papers(builder, i) for i in dict.fromkeys(ids)}


def _papers(builder: FrameBuilder, signal_id: str) -> tuple[str, ...]:
    signal = builder.catalogue[signal_id]
    read = columns_read(builder.compiler(signal.entity), signal)
    return papers_for(f"{table}.{column}" for table, column in read)
