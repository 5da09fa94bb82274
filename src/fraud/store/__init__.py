"""The service's own database: history of claims, snapshots, decisions and answers already given."""

from fraud.store.shapes import Added, Decision, History, Loaded, Seen, ShadowScore, Snapshot, StoreBusyError
from fraud.store.store import Store

__all__ = ["Added", "Decision", "History", "Loaded", "Seen", "ShadowScore", "Snapshot", "Store", "StoreBusyError"]
