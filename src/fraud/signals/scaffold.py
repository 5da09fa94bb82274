"""A new signal from a template that already works."""

from __future__ import annotations

import re
from pathlib import Path

from fraud.errors import InputError
from fraud.signals.catalogue import FOLDERS

__all__ = ["write_scaffold"]

_CLAIM = '''
def {name}(claim, past):
    """Earlier claims of the patient at the same provider in the past year.

    Blind spot: say here what this figure cannot see.

    释义:患者过去一年在本机构的既往结算单数。
    盲区:请说明本指标看不到的情况。
    """
    return past.count(where=past.same_provider)


{name}.fires(2, past=[{{"days_ago": 20}}, {{"days_ago": 50}}])
{name}.quiet(0, past=[{{"provider_id": "H2", "days_ago": 20}}])
'''
_WINDOW = '''
def {name}(window):
    """Share of the claims in the window that begin at a weekend.

    Blind spot: say here what this figure cannot see.

    释义:窗口内周末开始的结算单占比。
    盲区:请说明本指标看不到的情况。
    """
    return share(window.weekday >= 5)


{name}.fires(1, {extra}window=[{{"days_ago": 1}}, {{"days_ago": 2}}])
{name}.quiet(0, {extra}window=[{{"days_ago": 4}}, {{"days_ago": 5}}])
'''
_HEAD = '''"""{title}: say in one line what behaviour this file looks for."""

from fraud.signals import {imports}


@signal(
    title={{"en": "{title}", "zh": "{title}"}},
    says={{"en": "{title}: {{value:.2f}}.", "zh": "{title}:{{value:.2f}}。"}},
    unit="{unit}",
    riskier="high",{entity}
    default=0,
    cites=["{source}"],
    excuses={{"en": "Say what an honest reason could be.", "zh": "请说明可能的合理原因。"}},
)
'''


def write_scaffold(room: Path, signal_id: str, file: str | None = None) -> Path:
    """The path of a new file with a signal of that id; raises `InputError` rather than overwrite."""
    match = re.fullmatch(rf"({'|'.join(FOLDERS)})\.([a-z][a-z0-9_]*)", signal_id)
    if match is None:
        raise InputError(
            f"{signal_id!r} is no signal id. Write folder.name with one of the folders {', '.join(FOLDERS)} and a "
            "name in small letters, as provider.round_amounts."
        )
    folder, name = match.groups()
    path = room / folder / f"{file or name}.py"
    if path.exists():
        raise InputError(f"{path}: exists already. Add the signal there by hand, or pass --file with another name.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_text(room, folder, name), "utf-8")
    return path


def _text(room: Path, folder: str, name: str) -> str:
    single = folder == "claim"
    title = name.replace("_", " ").capitalize()
    head = _HEAD.format(
        title=title,
        imports="signal" if single else "share, signal",
        unit="claims" if single else "share",
        entity='\n    entity="provider",' if folder == "network" else "",
        source=_any_source(room),
    )
    return head + (_CLAIM if single else _WINDOW).format(name=name, extra="").lstrip("\n")


def _any_source(room: Path) -> str:
    """A source that is there, so that the template loads; the author puts the right one."""
    from fraud.signals.limits import load_sources

    return next(iter(load_sources(room / "sources.toml")), "name-a-source")
