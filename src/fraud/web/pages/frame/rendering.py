"""From a view to HTML: templates, assets, the menu, and the policy that every page comes with."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from fraud.web.bodies.messages import Reply
from fraud.web.pages.frame.doors import token_of
from fraud.web.pages.frame.shapes import PREFIX, Moved, Page, Shown, View, Visit

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = ["HEADERS", "address_of", "asset_reply", "home_of", "inline_svg", "reply_of_view", "with_query"]

_HERE = Path(__file__).parents[1]
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    # Forms still say where they come from; no other site is told of any page.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Vary": "Accept-Language, Cookie, HX-Request",
}
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
MENU = ("work", "knowledge", "admin")


# --- assets -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _assets() -> dict[str, tuple[bytes, str]]:
    """Content and digest of everything that pages load, by name."""
    found = {path.name: path.read_bytes() for path in sorted((_HERE / "static").iterdir())}
    found["htmx.min.js"] = resources.files("js_lib_htmx").joinpath("static/htmx/htmx.min.js").read_bytes()
    return {name: (content, hashlib.sha256(content).hexdigest()[:16]) for name, content in found.items()}


def asset(name: str) -> str:
    """Where an asset is: its digest stands in the address, so that it may be kept for good."""
    return f"{PREFIX}/static/{_assets()[name][1]}/{name}"


@lru_cache(maxsize=32)
def _packed(name: str) -> bytes:
    return gzip.compress(_assets()[name][0], 9, mtime=0)


def asset_reply(name: str, digest: str, packed: bool) -> Reply | None:
    """An asset as it is served; None for one that is not there."""
    content, known = _assets().get(name, (b"", ""))
    if not known or digest != known:
        return None
    media_type = f"{_TYPES[Path(name).suffix]}; charset=utf-8"
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if packed:
        return Reply(_packed(name), media_type=media_type, headers=headers | {"Content-Encoding": "gzip"})
    return Reply(content, media_type=media_type, headers=headers)


# --- charts -----------------------------------------------------------------------------------------------

_STYLE = re.compile(r'\sstyle="([^"]*)"')
# Properties that SVG also knows as attributes, which the policy lets pass.
_ATTRIBUTES = {
    "fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "fill-opacity", "stroke-opacity", "font-size",
    "font-family", "font-weight", "text-anchor", "pointer-events", "display", "stroke-linecap", "stroke-linejoin",
    "stroke-miterlimit", "visibility",
}  # fmt: skip


def inline_svg(svg: str) -> Markup:
    """A chart of the server's own for a page: styles become attributes, which the pages' policy lets pass."""
    from markupsafe import Markup

    return Markup(_STYLE.sub(_as_attributes, svg))


def _as_attributes(found: re.Match[str]) -> str:
    pairs = (part.partition(":")[::2] for part in found[1].split(";") if ":" in part)
    known = ((name.strip(), value.strip()) for name, value in pairs)
    return "".join(f' {name}="{value}"' for name, value in known if name in _ATTRIBUTES)


# --- pages ------------------------------------------------------------------------------------------------


def address_of(name: str, **parameters: str) -> str:
    """Where a page is; raises `KeyError` for one that is not there."""
    from urllib.parse import quote

    path = _pages()[name].path
    for key, value in parameters.items():
        path = path.replace(f"{{{key}}}", quote(value, safe=""))
    return PREFIX + path


def with_query(address: str, query: Any = None, **changes: object) -> str:
    """An address with a query, some of it changed; what is None or empty is left out."""
    asked = {**dict(query or {}), **changes}
    asked = {k: v for k, v in asked.items() if v not in (None, "")}
    return f"{address}?{urlencode(asked)}" if asked else address


@lru_cache(maxsize=1)
def _pages() -> dict[str, Page]:
    from fraud.web.pages.book import PAGES

    return {page.name: page for page in PAGES}


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters["codes"] = _codes
    made.globals |= {
        "asset": asset,
        "address": address_of,
        "there_is": lambda name: name in _pages(),
        "with_query": with_query,
        "inline_svg": inline_svg,
        "prefix": PREFIX,
    }
    return made


_CODE = re.compile(r"`([^`]+)`")


def _codes(text: str, said: Mapping[str, str] | None = None) -> Markup:
    """A text of the catalogue; it begins with a capital.

    Its names in backticks become what `said` has for them, with the name itself as a hint, or else code.
    """
    from markupsafe import Markup, escape

    def spoken(found: re.Match[str]) -> str:
        known = (said or {}).get(found[1])
        return f"<code>{found[1]}</code>" if known is None else f'<abbr title="{found[1]}">{escape(known)}</abbr>'

    return Markup(_CODE.sub(spoken, str(escape(text[:1].upper() + text[1:]))))


def _menu(visit: Visit) -> list[tuple[str, list[Page]]]:
    """The parts of the menu with the pages that the visitor may open."""
    if not visit.ready:
        return []
    pages = [p for p in _pages().values() if p.menu and visit.may(p)]
    return [(part, own) for part in MENU if (own := [p for p in pages if p.menu == part])]


def home_of(visit: Visit) -> str:
    """Where a visitor begins: at the first page of the menu."""
    menu = _menu(visit)
    return menu[0][1][0].path if menu else "/account"


def reply_of_view(visit: Visit, shown: Shown) -> Reply:
    """What goes to the browser."""
    if isinstance(shown, Moved):
        return _moved(visit, shown)
    if isinstance(shown, View):
        return _rendered(visit, shown)
    return shown


def _rendered(visit: Visit, view: View) -> Reply:
    said = visit.query.get("said", "")
    shared = {
        "visit": visit,
        "w": visit.words,
        "menu": _menu(visit),
        "may": lambda name: visit.may(_pages()[name]),
        "home": PREFIX + home_of(visit),
        "token_value": token_of(visit.secret if view.secret is None else view.secret),
        "said": visit.words.of("said", said) if said.isidentifier() and visit.words.of("said", said) != said else "",
        "faults": {},
    }
    page = _environment().get_template(view.template).render(shared | dict(view.values))
    headers = {**HEADERS, "Content-Language": visit.words.lang}
    if view.cookie is not None:
        headers["Set-Cookie"] = view.cookie
    return Reply(page.encode(), view.status, "text/html; charset=utf-8", headers)


def _moved(visit: Visit, moved: Moved) -> Reply:
    address = with_query(PREFIX + moved.to, said=moved.said) if "?" not in moved.to else PREFIX + moved.to
    by_script = visit.incoming.headers.get("hx-request") == "true"
    headers = {**HEADERS, "HX-Redirect" if by_script else "Location": address}
    if moved.cookie is not None:
        headers["Set-Cookie"] = moved.cookie
    return Reply(b"", 200 if by_script else 303, "text/html; charset=utf-8", headers)
