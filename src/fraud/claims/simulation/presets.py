"""Presets: every rate of a simulated payer, from TOML files that build on one another."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from fraud.claims.simulation.schemes import MODULES, SCHEMES
from fraud.errors import Fault, InputError, NotKnownError, SpecError, nearest

__all__ = ["PRESETS", "rates_of", "rates_text"]

PRESETS: tuple[str, ...] = ("demo", "town", "city", "province")
FEWEST_CLAIMS = 1_000
# A city with more claims than this is made as several, so that memory stays bounded.
CITY_CLAIMS = 250_000

Rates = dict[str, Any]


def rates_of(preset: str, claims: int | None = None) -> Rates:
    """The preset (a name, or a TOML file of your own) with `wanted` claims in each of its `cities`.

    Raises:
        NotKnownError: there is no such preset or file.
        SpecError: the file sets what does not exist or is of another type; all faults are named.
        InputError: too few claims are asked for.
    """
    rates = _read(preset)
    reference = rates["claims"] / rates["cities"]
    wanted = rates["claims"] if claims is None else claims
    if wanted < FEWEST_CLAIMS:
        raise InputError(f"{wanted} claims are too few for a city. Ask for {FEWEST_CLAIMS} or more.")
    cities = rates["cities"] if claims is None else max(1, round(wanted / CITY_CLAIMS))
    return rates | {"wanted": wanted / cities, "cities": cities, "claims": reference}


def rates_text(preset: str) -> str:
    """Every rate of the preset as TOML, to be changed and passed as a preset."""
    import tomlkit

    return tomlkit.dumps(_read(preset))


def _read(preset: str) -> Rates:
    own = Path(preset)
    if own.suffix == ".toml":
        if not own.is_file():
            raise NotKnownError(f"{preset}: no such file. Write one with `fraud simulate --rates demo > my.toml`.")
        rates = _parsed(own.read_text("utf-8"), preset)
    elif preset in PRESETS:
        rates = tomllib.loads(files(__package__).joinpath("presets", f"{preset}.toml").read_text("utf-8"))
    else:
        raise NotKnownError(f'No preset "{preset}"{nearest(preset, PRESETS)}. There are: {", ".join(PRESETS)}.')
    if preset == "demo":
        return rates | {"schemes": _scheme_rates() | rates.get("schemes", {})}
    base = _read(rates.pop("base", "demo"))
    faults = list(_faults(rates, base, preset))
    if faults:
        raise SpecError(f"{preset}: {len(faults)} rates cannot be used. See `fraud simulate --rates`.", faults)
    return _over(base, rates)


def _parsed(text: str, name: str) -> Rates:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{name}: not a TOML file: {error}.") from error


def _scheme_rates() -> Rates:
    """The rates that stand beside the schemes."""
    rates: Rates = {}
    for module in MODULES:
        name = module.__name__.rpartition(".")[2]
        rates |= tomllib.loads(files(module.__package__ or "").joinpath(f"{name}.toml").read_text("utf-8"))
    return {s.name: rates[s.name] for s in SCHEMES}


def _over(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Rates:
    """The base with the changes laid over it, table by table."""
    return {n: _laid(v, changes[n]) if n in changes else v for n, v in base.items()}


def _laid(value: Any, change: Any) -> Any:
    return _over(value, change) if isinstance(value, dict) else change


def _faults(rates: Mapping[str, Any], base: Mapping[str, Any], file: str, path: str = "") -> Iterator[Fault]:
    for name, value in rates.items():
        where, usual = f"{path}{name}", base.get(name)
        if name not in base:
            yield Fault(f"{file}:{where}", "unknown", f"There is no such rate{nearest(name, list(base))}.")
        elif isinstance(usual, dict) and isinstance(value, dict):
            yield from _faults(value, usual, file, f"{where}.")
        elif not _alike(value, usual):
            yield Fault(f"{file}:{where}", "type", f"Expected something like {usual!r}, found {value!r}.")


def _alike(value: Any, usual: Any) -> bool:
    """Whether a value is of the kind of the usual one: a number for a number, a list for a list."""
    number = isinstance(usual, (int, float)) and not isinstance(usual, bool)
    return isinstance(value, (int, float)) and not isinstance(value, bool) if number else type(value) is type(usual)
