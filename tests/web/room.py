"""A room with two rules, so that a service starts in a second and what it finds is known."""

from __future__ import annotations

from pathlib import Path

_RULES = '''
"""Two rules over the lines of a claim."""

from fraud.signals import signal

_EXCUSE = {"en": "A long stay.", "zh": "住院时间长。"}


@signal(
    title={"en": "Lines", "zh": "明细数"},
    says={"en": "{value:.0f} lines; {limit:.0f} at most.", "zh": "{value:.0f}条明细,至多{limit:.0f}条。"},
    unit="lines", riskier="high", violation="T07", kind="violation", severity="serious",
    limit="most_lines", cites=["law"], excuses=_EXCUSE,
)
def many_lines(lines):
    """Lines of the claim.

    Blind spot: what is billed elsewhere.
    """
    return lines.count()


@signal(
    title={"en": "Earlier claims", "zh": "既往结算数"},
    says={"en": "{value:.0f} earlier claims; {limit:.0f} at most.", "zh": "既往{value:.0f}次,至多{limit:.0f}次。"},
    unit="claims", riskier="high", default=0, violation="T02", severity="serious",
    limit="most_past", cites=["law"], excuses=_EXCUSE,
)
def many_past(past):
    """Claims of the patient that were known before this one.

    Blind spot: claims with other payers.
    """
    return past.count()
'''
_LIMIT = 'doc = "For tests."\nunit = "{unit}"\ntag = "DEF"\nsource = "law"\nchecked_on = 2026-01-01\n'
_LIMITS = "".join(
    f"[{name}]\n{_LIMIT.format(unit=unit)}values = [{{ from = 2000-01-01, value = {value} }}]\n"
    for name, unit, value in (("most_lines", "lines", 3), ("most_past", "claims", 2))
)
_SOURCES = '[law]\ntitle = { en = "A law", zh = "法律" }\nfrom = 2000-01-01\n'


def write_room(home: Path) -> Path:
    """A home with the two rules and a `fraud.toml`."""
    rules = home / "features" / "claim"
    rules.mkdir(parents=True)
    (rules / "lines.py").write_text(_RULES, "utf-8")
    (home / "features" / "limits.toml").write_text(_LIMITS, "utf-8")
    (home / "features" / "sources.toml").write_text(_SOURCES, "utf-8")
    (home / "fraud.toml").write_text('[service]\nclaim_model = "claim_risk"\n', "utf-8")
    return home
