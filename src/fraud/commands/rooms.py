"""`fraud init`: rooms of one's own to start from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from fraud.commands.console import data
from fraud.config import load_settings
from fraud.errors import InputError

__all__ = ["init"]

_COPIED = ("features", "models", "training", "serving", "fraud.toml", "MLproject")


def init(to: Annotated[Path, typer.Argument(metavar="DIR", help="New folder for the rooms.")]) -> None:
    """Copy the rooms (signals, limits, model specs, settings) to a folder of your own.

    \b
    fraud init my-payer && cd my-payer && fraud signals list
    """
    if to.exists() and any(to.iterdir()):
        raise InputError(f"{to}: is not empty. Name a new folder; nothing was written.")
    home = load_settings().home
    there = [home / name for name in _COPIED if (home / name).exists()]
    if not there:
        raise InputError(f"{home}: holds no rooms to copy. Set FRAUD_HOME to a folder with fraud.toml.")
    to.mkdir(parents=True, exist_ok=True)
    for source in there:
        _copy(source, to / source.name)
    data(f"{to}: {', '.join(p.name for p in there)}\nNext: cd {to} && fraud signals list")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)
