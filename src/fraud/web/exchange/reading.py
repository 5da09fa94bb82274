"""Reading a neighbour's message: what is there as plain values, and every fault of it with its place."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fraud.claims.checking import YEARS
from fraud.claims.pseudonyms import looks_personal, pseudonym
from fraud.errors import Fault
from fraud.web.bodies.faults import found
from fraud.web.bodies.problems import FAULTS
from fraud.web.bodies.shapes import LARGEST, LONGEST_TEXT

__all__ = ["Reader", "clean", "plain_code", "pseudonymous"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
# What systems write for "nothing".
_NOTHING = ("", "-", "--", "null", "NULL")
_FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%Y%m%d%H%M%S", "%Y%m%d")
_FRACTION = re.compile(r"(:\d\d)\.\d{1,9}$")


def clean(text: str) -> str:
    """Text without control characters and no longer than a text may be: for names, which decide nothing."""
    return _CONTROL.sub(" ", text).strip()[:LONGEST_TEXT]


def plain_code(code: str | None) -> str | None:
    """A diagnosis or procedure code as the canonical tables write it.

    >>> plain_code("I10.x05")
    'I10x05'
    """
    return None if code is None else code.replace(".", "")


def pseudonymous(number: str, key: bytes | None) -> str | None:
    """The pseudonym of a person's number; without a key the number itself, or None when it names somebody."""
    if key is not None:
        return number if number.startswith("p_") and len(number) == 26 else pseudonym(number, key)
    return None if looks_personal(number) else number


@dataclass
class Reader:
    """One JSON object and where it stands in the message; faults of all readers of a message share one list.

    Numbers and codes may come as text or as numbers, as systems send them; nothing else is forgiven.
    """

    row: Mapping[str, Any]
    at: str
    faults: list[Fault] = field(default_factory=list)

    def fault(self, name: str, code: str) -> None:
        """Note a fault of one value."""
        value = self.row.get(name)
        shown = () if value is None else (found(value, plain=False),)
        self.faults.append(Fault(f"{self.at}.{name}" if self.at else name, code, FAULTS[code], examples=shown))

    def text(self, *names: str, required: bool = False) -> str | None:
        """The first of the values that says something."""
        for name in names:
            value = self.row.get(name)
            if isinstance(value, (dict, list, bool)):
                self.fault(name, "not_text")
                return None
            text = "" if value is None else _as_text(value)
            if text not in _NOTHING:
                return self._bounded(name, text)
        if required:
            self.fault(names[0], "missing")
        return None

    def _bounded(self, name: str, text: str) -> str | None:
        code = "too_long" if len(text) > LONGEST_TEXT else "control_character" if _CONTROL.search(text) else None
        if code is not None:
            self.fault(name, code)
        return None if code else text

    def name(self, *names: str) -> str | None:
        """A name: whatever text there is, made to fit."""
        texts = (clean(v) for n in names if isinstance(v := self.row.get(n), str))
        return next((t for t in texts if t not in _NOTHING), None)

    def number(self, name: str, required: bool = False) -> float | None:
        """A number that is finite and within reason; it may be negative."""
        value = self.row.get(name)
        if value is None or (isinstance(value, str) and value.strip() in _NOTHING):
            if required:
                self.fault(name, "missing")
            return None
        read = _as_number(value)
        if read is None:
            self.fault(name, "not_a_number")
        elif not abs(read) <= LARGEST:
            self.fault(name, "out_of_range")
            return None
        return read

    def moment(self, name: str, required: bool = False) -> datetime | None:
        """A civil time; a year that cannot be, such as 9999, stands for none."""
        text = self.text(name, required=required)
        read = _as_time(text) if text is not None else None
        if text is not None and read is None:
            self.fault(name, "not_a_time")
        return read if read is not None and YEARS[0] < read.year <= YEARS[1] else None

    def child(self, name: str) -> Reader | None:
        """The object of that name."""
        value = self.row.get(name)
        if value is None:
            self.fault(name, "missing")
            return None
        if not isinstance(value, Mapping):
            self.fault(name, "not_an_object")
            return None
        return Reader(value, f"{self.at}.{name}" if self.at else name, self.faults)

    def children(self, name: str, required: bool = False) -> list[Reader]:
        """The objects of a list; a single object is a list of one, nothing is an empty one."""
        value = self.row.get(name)
        if value is None or (isinstance(value, str) and value.strip() in _NOTHING) or value == []:
            if required:
                self.fault(name, "missing")
            return []
        if not isinstance(value, (list, Mapping)):
            self.fault(name, "not_a_list")
            return []
        return list(self._each(name, value if isinstance(value, list) else [value]))

    def _each(self, name: str, items: Sequence[Any]) -> Iterator[Reader]:
        for number, item in enumerate(items):
            where = f"{self.at}.{name}[{number}]" if self.at else f"{name}[{number}]"
            if isinstance(item, Mapping):
                yield Reader(item, where, self.faults)
            else:
                code = "not_an_object"
                self.faults.append(Fault(where, code, FAULTS[code], examples=(found(item, plain=False),)))


def _as_text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _as_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def _as_time(text: str) -> datetime | None:
    text = _FRACTION.sub(r"\1", text)
    for pattern in _FORMATS:
        try:
            return datetime.strptime(text, pattern)
        except ValueError:
            continue
    return None
