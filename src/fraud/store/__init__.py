"""The service's own database: history of claims, snapshots, decisions and answers already given."""

from fraud.store.explanations import Explanations
from fraud.store.keys import Keys
from fraud.store.ledger import Ledger
from fraud.store.recording import Answer
from fraud.store.refreshes import Arrived, Covered, Refresh, Touched
from fraud.store.shapes import (
    EVERYTHING,
    NO_LINES,
    Added,
    Decision,
    History,
    Loaded,
    Seen,
    ShadowScore,
    Snapshot,
    StoreBusyError,
    StoreRevisionError,
    Wanted,
)
from fraud.store.store import Store

__all__ = [
    "EVERYTHING",
    "NO_LINES",
    "Added",
    "Answer",
    "Arrived",
    "Covered",
    "Decision",
    "Explanations",
    "History",
    "Keys",
    "Ledger",
    "Loaded",
    "Refresh",
    "Seen",
    "ShadowScore",
    "Snapshot",
    "Store",
    "StoreBusyError",
    "StoreRevisionError",
    "Touched",
    "Wanted",
]
