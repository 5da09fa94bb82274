"""Signals: what a catalogue is written with.

Rooms import only these names; the engine's own modules import each other by their full names.
"""

from fraud.signals.catalogue import Catalogue, load_catalogue
from fraud.signals.definition import Signal, signal
from fraud.signals.expressions import days_between, ratio, share

__all__ = ["Catalogue", "Signal", "days_between", "load_catalogue", "ratio", "share", "signal"]
