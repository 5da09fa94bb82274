"""`Signal` and `@signal`: one definition that is a feature, a sentence and a citation."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import linecache
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from types import FunctionType
from typing import Any, Literal

import ibis.expr.types as ir

from fraud.errors import CatalogueError

__all__ = ["ENTITIES", "LOCALES", "Example", "Signal", "signal"]

Riskier = Literal["high", "low", "either"]
LOCALES = ("en", "zh")
ENTITIES = ("claim", "patient", "provider", "physician")
_SIGN = {"high": 1, "low": -1, "either": 0}


@dataclass(frozen=True)
class Example:
    """A tiny world and the value that the signal must have in it.

    `rows` maps a scope to rows in which only what matters is written (see `fraud.signals.examples`).
    """

    value: float | None
    fires: bool
    rows: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Signal:
    """One documented figure about a claim, patient, provider or physician.

    `function` takes the relations it reads as parameters and returns one Ibis expression. `default` is the
    value of an entity without history (None: not known, a missing value to the model). `riskier` says which
    way risk rises, and constrains the model. `limit` names a dated threshold of `limits.toml`; passing it
    is a finding of `kind`. `volume` marks figures that grow with the size of the entity; `peer` asks the
    engine to add the robust z-score and the percentile among peers. A rate names its `total`, a function like
    `function` that gives the number of cases it rests on: its z-score is then shrunk (see `fraud.signals.peers`).
    """

    function: Callable[..., ir.Value]
    entity: str
    name: str
    title: Mapping[str, str]
    says: Mapping[str, str]
    unit: str
    riskier: Riskier
    default: float | None = None
    version: int = 1
    violation: str | None = None
    kind: Literal["violation", "suspicion"] = "suspicion"
    severity: Literal["general", "serious", "critical"] = "general"
    national_code: str | None = None
    limit: str | None = None
    cites: tuple[str, ...] = ()
    excuses: Mapping[str, str] = field(default_factory=dict)
    volume: bool = False
    peer: bool = False
    low: float = 0.0
    high: float = float("inf")
    folder: str = ""
    examples: list[Example] = field(default_factory=list)
    total: Callable[..., ir.Value] | None = None

    @property
    def id(self) -> str:
        """`folder.name`, as it is written in specs, reasons and findings."""
        return f"{self.folder or self.entity}.{self.name}"

    @property
    def cases(self) -> Signal | None:
        """The number of cases that a rate rests on, as a figure of its own; None for what is no rate."""
        if self.total is None:
            return None
        return replace(self, function=self.total, name=f"{self.name}.total", default=0.0, limit=None, total=None)

    @property
    def scopes(self) -> tuple[str, ...]:
        """Names of the relations that the function reads."""
        return tuple(inspect.signature(self.function).parameters)

    @property
    def monotone(self) -> int:
        """+1, -1 or 0: the constraint that `riskier` puts on a model."""
        return _SIGN[self.riskier]

    @cached_property
    def doc(self) -> str:
        """The docstring, dedented."""
        return inspect.getdoc(self.function) or ""

    @property
    def summary(self) -> str:
        """First paragraph of the docstring, on one line."""
        return " ".join(self.doc.split("\n\n", 1)[0].split())

    @property
    def blind_spot(self) -> str:
        """What the signal cannot see, as the docstring says it."""
        found = re.search(r"Blind spot:\s*(.+?)(?:\n\n|\Z)", self.doc, re.S)
        return " ".join(found[1].split()) if found else ""

    @property
    def meaning(self) -> Mapping[str, str]:
        """What the figure is, by language: the summary, and the docstring's `释义:` where it has one."""
        return {"en": self.summary, **self._in_chinese("释义")}

    @property
    def blind_spots(self) -> Mapping[str, str]:
        """What the signal cannot see, by language: `Blind spot:`, and the docstring's `盲区:` where it has one."""
        return {"en": self.blind_spot, **self._in_chinese("盲区")}

    def _in_chinese(self, mark: str) -> dict[str, str]:
        found = re.search(rf"^{mark}[:：]\s*(.+?)(?=\n释义|\n盲区|\n\n|\Z)", self.doc, re.S | re.M)
        return {"zh": "".join(line.strip() for line in found[1].splitlines())} if found else {}

    @cached_property
    def formula(self) -> str:
        """The source of the function's return, as a reader of the handbook sees it."""
        return "\n".join(ast.unparse(n) for n in _body(self.function))

    @cached_property
    def helpers(self) -> Mapping[str, str]:
        """What the formula uses of its own file, by name: ` = …` for constants, `(a, b) = …` for functions."""
        return _helpers(self.function)

    def digest(self, limits: Mapping[str, Any]) -> str:
        """`sha256:` of what decides the value: code, default, direction and the limits it reads.

        Sentences, citations and comments do not count, so that mending a typo costs no model.
        """
        used = {name: limits.get(name) for name in self.limits_read}
        parts = [self.id, self.version, self.default, self.riskier, self.unit, self.volume, self.peer, used]
        text = json.dumps(parts, sort_keys=True, default=str) + _canonical_source(self.function)
        text += f"total={_canonical_source(self.total)}" if self.total else ""
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"

    @cached_property
    def limits_read(self) -> tuple[str, ...]:
        """Names of the limits that the function itself reads through its `limits` parameter."""
        nodes = (n for part in _body(self.function) for n in ast.walk(part))
        found = {n.attr for n in nodes if isinstance(n, ast.Attribute) and _is_name(n.value, "limits")}
        return tuple(sorted(found))

    def fires(self, value: float | None, **rows: Any) -> Signal:
        """Record an example in which the signal is raised to `value`; returns the signal."""
        self.examples.append(Example(value, True, rows))
        return self

    def quiet(self, value: float | None, **rows: Any) -> Signal:
        """Record an example in which the signal stays quiet at `value`; returns the signal."""
        self.examples.append(Example(value, False, rows))
        return self

    def placed(self, folder: str) -> Signal:
        """The signal as found in a folder of the catalogue."""
        return replace(self, folder=folder)


def signal(
    *,
    title: Mapping[str, str],
    says: Mapping[str, str],
    unit: str,
    riskier: Riskier,
    entity: str | None = None,
    cites: Sequence[str] = (),
    **settings: Any,
) -> Callable[[Callable[..., ir.Value]], Signal]:
    """A decorator that turns a function over relations into a `Signal`.

    `entity` is taken from the scopes when it is not given: `claim` for functions over a claim's own
    relations; functions over windows live in the folder of their entity, or name it. The other settings are
    the fields of `Signal`.

    Raises:
        CatalogueError: a setting is not known, or a text lacks one of the two languages.
    """

    def decorate(function: Callable[..., ir.Value]) -> Signal:
        unknown = set(settings) - set(Signal.__dataclass_fields__)
        if unknown:
            raise CatalogueError(f"{function.__name__}: @signal has no setting {sorted(unknown)}")
        for what, text in (("title", title), ("says", says), ("excuses", settings.get("excuses", {}))):
            if text and set(text) != set(LOCALES):
                raise CatalogueError(f"{function.__name__}: {what} must have exactly {LOCALES}, has {set(text)}")
        return Signal(
            function=function,
            entity=entity or _entity_of(function),
            name=function.__name__,
            title=title,
            says=says,
            unit=unit,
            riskier=riskier,
            cites=tuple(cites),
            **settings,
        )

    return decorate


def _entity_of(function: Callable[..., ir.Value]) -> str:
    """The entity that the file's folder says: `features/provider/…` holds provider signals."""
    folder = inspect.getfile(function).replace("\\", "/").split("/")[-2]
    return folder if folder in ENTITIES else "claim"


def _body(function: Callable[..., Any]) -> list[ast.stmt]:
    """Statements of a function without its docstring."""
    return [n for n in _tree(inspect.unwrap(function)).body if not _is_docstring(n)]


def _tree(function: Callable[..., Any]) -> ast.FunctionDef:
    """The syntax tree of a function, as its file has it now."""
    file = inspect.getsourcefile(function) or ""
    linecache.checkcache(file)
    text, line = "".join(linecache.getlines(file)), function.__code__.co_firstlineno
    outermost = _functions_of(text)
    # Walking through everything takes longer than reading it, and signals are hardly ever inside a function.
    found = outermost.get(line) or _by_line(ast.walk(ast.parse(text))).get(line)
    if found is None:
        raise CatalogueError(
            f"{function.__name__}: its source cannot be read; write it with `def` in a file or a cell."
        )
    return found


# A file is read whole once: finding a function's end in its text takes longer than understanding all of it.
@lru_cache(maxsize=128)
def _functions_of(text: str) -> Mapping[int, ast.FunctionDef]:
    return _by_line(ast.parse(text).body)


def _by_line(nodes: Iterable[ast.AST]) -> dict[int, ast.FunctionDef]:
    """Functions by the line on which they, or their decorators, begin."""
    found = (n for n in nodes if isinstance(n, ast.FunctionDef))
    return {min([n.lineno, *(d.lineno for d in n.decorator_list)]): n for n in found}


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _helpers(function: Callable[..., Any]) -> dict[str, str]:
    """Constants and functions of its own module that a function uses, those of its functions included."""
    names = {n.id for part in _body(function) for n in ast.walk(part) if isinstance(n, ast.Name)}
    used = {n: function.__globals__[n] for n in sorted(names) if n in function.__globals__}
    found = {n: repr(v) for n, v in used.items() if isinstance(v, (int, float, str, tuple, frozenset))}
    found = {n: f" = {text}" for n, text in found.items()}
    for name, value in used.items():
        if isinstance(value, FunctionType) and value.__module__ == function.__module__ and value is not function:
            found |= _helpers(value) | {name: _source(value)}
    return found


def _source(function: FunctionType) -> str:
    """A function without its docstring: `(a, b) = …` where it only returns, its indented lines elsewhere."""
    lines = "\n".join(ast.unparse(n) for n in _body(function))
    head = f"({', '.join(inspect.signature(function).parameters)})"
    if lines.startswith("return "):
        return f"{head} = {lines.removeprefix('return ')}"
    return f"{head}:\n{textwrap.indent(lines, '    ')}"


def _canonical_source(function: Callable[..., Any]) -> str:
    """The function's statements, with the module-level definitions they use, in a form without comments."""
    names = {n.id for part in _body(function) for n in ast.walk(part) if isinstance(n, ast.Name)}
    module = getattr(function, "__globals__", {})
    used = {n: module[n] for n in sorted(names) if n in module and not inspect.ismodule(module[n])}
    own = "".join(_canonical(n) for n in _body(function))
    return own + "".join(_definition(name, value, function) for name, value in used.items())


def _definition(name: str, value: object, user: Callable[..., Any]) -> str:
    if isinstance(value, FunctionType) and value.__module__ == user.__module__ and value is not user:
        return f"{name}={_canonical_source(value)}"
    return f"{name}={value!r}" if isinstance(value, (int, float, str, tuple, frozenset)) else name


def _canonical(node: object) -> str:
    """A dump of a syntax tree that is the same on every Python version: empty fields are left out."""
    if isinstance(node, ast.AST):
        fields = ((n, v) for n, v in ast.iter_fields(node) if v not in (None, []) and n not in ("ctx", "kind"))
        return f"{type(node).__name__}({','.join(f'{n}={_canonical(v)}' for n, v in fields)})"
    if isinstance(node, list):
        return f"[{','.join(_canonical(n) for n in node)}]"
    return repr(node)
