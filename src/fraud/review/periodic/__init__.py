"""Periodic papers: monthly self-audit, quarterly supervision, physicians' ranking and a provider's scorecard.

Each is a document of `fraud.explaining.content.document`, and so comes as a page, a PDF, a workbook or JSON. All read
what the service's database holds: decisions as they were answered, cases and their signatures, and the ledger.
"""

from fraud.review.periodic.monthly import monthly_paper
from fraud.review.periodic.period import Period, month_of, quarter_of, year_until
from fraud.review.periodic.quarterly import quarterly_paper
from fraud.review.periodic.ranking import Ranked, rank, ranking_paper
from fraud.review.periodic.reading import CaseFigures, Judged, Paid, Record, read_record
from fraud.review.periodic.scorecard import scorecard_paper

__all__ = [
    "CaseFigures",
    "Judged",
    "Paid",
    "Period",
    "Ranked",
    "Record",
    "month_of",
    "monthly_paper",
    "quarter_of",
    "quarterly_paper",
    "rank",
    "ranking_paper",
    "read_record",
    "scorecard_paper",
    "year_until",
]
