"""The shapes of the calls as `TypedDict`s for the client, made from their description.

`python -m fraud.web.exchange.typed` writes them; a test keeps them equal, so that the client needs nothing of the
engine and cannot disagree with it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from fraud.web.openapi import description

__all__ = ["module"]

# What the client sends and gets; whatever these refer to comes with them.
_ROOTS = (
    "ScoreBody",
    "ClaimBody",
    "Outcome",
    "ClaimScore",
    "ItemProblem",
    "AddedAnswer",
    "OutcomesAnswer",
    "EntityRisk",
    "LedgerAnswer",
    "ModelAnswer",
    "ProblemAnswer",
    "CasesAnswer",
    "CaseFileAnswer",
    "CasePatch",
    "Propose",
    "Confirm",
    "SendBack",
    "Unfounded",
    "Appeal",
    "DecideAppeal",
    "Close",
)
_HEAD = '''"""Shapes of what is sent and answered.

Made from the description of the service by `python -m fraud.web.exchange.typed`; a test keeps them equal.
"""

# fmt: off
# ruff: noqa: E501

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

__all__ = [
{names}
]
'''
_PLAIN = {"string": "str", "number": "float", "integer": "int", "boolean": "bool", "null": "None", "object": "object"}
_REFERENCE = "#/components/schemas/"
_WIDTH = 120


def module() -> str:
    """The text of `fraud/client/shapes.py`."""
    schemas = orjson.loads(description())["components"]["schemas"]
    names = sorted(_reached(schemas, _ROOTS))
    head = _HEAD.format(names="\n".join(f'    "{n}",' for n in names))
    return head + "".join(_class(name, schemas[name]) for name in _in_order(schemas, names))


def _reached(schemas: Mapping[str, Any], names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(schemas[name])
    return found


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(reference := part.get("$ref"), str):
            yield reference.removeprefix(_REFERENCE)
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def _in_order(schemas: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Each after those that it refers to, so that the module reads from small to large."""
    ordered: list[str] = []

    def add(name: str) -> None:
        if name not in ordered:
            for needed in sorted(set(_references(schemas[name])) - {name}):
                add(needed)
            ordered.append(name)

    for name in names:
        add(name)
    return ordered


def _class(name: str, schema: Mapping[str, Any]) -> str:
    says = " ".join(str(schema.get("description", name)).split())
    required = set(schema.get("required", ()))
    fields = "".join(
        f"    {field}: {_type(part) if field in required else f'NotRequired[{_type(part)}]'}\n"
        for field, part in schema["properties"].items()
    )
    return f"\n\nclass {name}(TypedDict):\n{_docstring(says)}\n{fields}"


def _docstring(says: str) -> str:
    """The whole description where it fits on a line, or else its first sentence."""
    whole = f'    """{says}"""\n'
    return whole if len(whole) <= _WIDTH else f'    """{says.split(". ")[0].rstrip(".")}."""\n'


def _type(part: Mapping[str, Any]) -> str:
    if "$ref" in part:
        return str(part["$ref"]).removeprefix(_REFERENCE)
    if "anyOf" in part:
        return " | ".join(dict.fromkeys(_type(p) for p in part["anyOf"]))
    if "const" in part:
        return f"Literal[{_quoted(part['const'])}]"
    if "enum" in part:
        return f"Literal[{', '.join(_quoted(v) for v in part['enum'])}]"
    if part.get("type") == "array":
        return f"list[{_type(part['items'])}]"
    if isinstance(part.get("additionalProperties"), dict):
        return f"dict[str, {_type(part['additionalProperties'])}]"
    return _PLAIN[part["type"]]


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _main() -> None:
    target = Path(__file__).parents[2] / "client" / "shapes.py"
    target.write_text(module(), "utf-8")
    sys.stdout.write(f"{target}\n")


if __name__ == "__main__":
    _main()
