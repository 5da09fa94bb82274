"""The service's own database: history of claims, snapshots, decisions and answers already given."""

from fraud.store.keys import Keys
from fraud.store.ledger import Ledger
from fraud.store.recording import Answer
from fraud.store.refreshes import Arrived, Covered, Refresh, Touched
from fraud.store.shapes import (
    Added,
    Decision,
    History,
    Loaded,
    Seen,
    ShadowScore,
    Snapshot,
    StoreBusyError,
    StoreRevisionError,
)
from fraud.store.store import Store

__all__ = [
    "Added",
    "Answer",
    "Arrived",
    "Covered",
    "Decision",
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
]
