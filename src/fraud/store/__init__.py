"""The service's own database: history of claims, snapshots, decisions and answers already given."""

from fraud.store.shapes import Added, Decision, History, Loaded, Seen, Snapshot, StoreBusyError
from fraud.store.store import Store

__all__ = ["Added", "Decision", "History", "Loaded", "Seen", "Snapshot", "Store", "StoreBusyError"]
