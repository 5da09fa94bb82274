"""Printing: progress and errors to stderr, data to stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from fraud.errors import FraudError

__all__ = ["data", "note", "print_json", "print_table", "progress", "show_error"]

_notes = Console(stderr=True, highlight=False, soft_wrap=True)
_data = Console(highlight=False, soft_wrap=True)
MOST_FAULTS = 20


def note(text: str) -> None:
    """Say something to the person at the terminal."""
    _notes.print(text, markup=False)


def data(text: str) -> None:
    """Print a line of output."""
    _data.print(text, markup=False)


def print_json(value: Any) -> None:
    """Print a value as JSON, for programs."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """Print rows under headings; figures stand to the right, and what a row begins with stays whole, to be copied."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(columns):
        figures = all(isinstance(r[i], (int, float)) or r[i] is None for r in rows) and bool(rows)
        table.add_column(name, justify="right" if figures else "left", overflow="fold", no_wrap=i == 0)
    for row in rows:
        table.add_row(*("" if v is None else str(v) for v in row))
    _data.print(table)


@contextmanager
def progress(quiet: bool = False) -> Iterator[Callable[[str, float], None]]:
    """A function that shows a step by name and how much of it (0 to 1) is done.

    A step that says 0 only is shown as busy until the next one begins.
    """
    bar = Progress(
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        TimeElapsedColumn(),
        console=_notes,
        disable=quiet,
    )
    with bar:
        yield _steps(bar)
        for task in bar.tasks:
            bar.update(task.id, total=1.0, completed=1.0)


def _steps(bar: Progress) -> Callable[[str, float], None]:
    tasks: dict[str, Any] = {}

    def step(name: str, done: float = 0.0) -> None:
        if name not in tasks:
            for other in tasks.values():
                bar.update(other, total=1.0, completed=1.0)
            tasks[name] = bar.add_task(name, total=None)
        bar.update(tasks[name], total=1.0 if done else None, completed=min(done, 1.0))

    return step


def show_error(error: FraudError) -> None:
    """The message of an error and every fault that it carries."""
    _notes.print(f"Error: {error.message}", style="red", markup=False)
    for fault in error.faults[:MOST_FAULTS]:
        shown = f" ({fault.count:,} times)" if fault.count > 1 else ""
        _notes.print(f"  • {fault.where}: {fault.detail}{shown}", markup=False)
    if len(error.faults) > MOST_FAULTS:
        _notes.print(f"  … and {len(error.faults) - MOST_FAULTS} more", markup=False)
