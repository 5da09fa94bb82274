"""Requests that somebody might send by mistake or on purpose: valid bodies with something wrong in them.

Everything is drawn by hypothesis: the same seed sends the same.
"""

from __future__ import annotations

import copy
import gzip
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

__all__ = ["Known", "Request", "filled", "mutated_requests", "strange_addresses"]

_JSON = "application/json"
_MOST_CHANGES = 4
_DEEP = 80
# Ids that there are, by the name of the parameter that takes them.
Known = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Request:
    """What goes over the wire; `template` is the address as the description has it, empty for one it does not."""

    method: str
    path: str
    template: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


# --- values -----------------------------------------------------------------------------------------------

_TEXTS = (
    "", " ", "0", "-1", "null", "NaN", "ab\x00c", "a" * 257, "a" * 5_000, "é́", "张三", "\u202eabc", "😀" * 100,
    "11010519491231002X", "13812345678", "'; DROP TABLE claims; --", "../../etc/passwd", "{{7*7}}", "%s%n", "<b>x</b>",
    "2024-02-30", "9999-12-31T23:59:59", "0001-01-01", "2024-03-01T09:30:00Z", "2024-03-01T24:00:00", "20240301",
    "2024-03-01T09:30:00.1234567", "２０２４-03-01", "1e400", "0x10", "١٢٣",
)  # fmt: skip
_NUMBERS = (
    0, -0.0, -1, 1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 1e-308, 1e12, 1e13, 1e308, -1e308, 0.1 + 0.2, 1e-7,
)  # fmt: skip
_OTHERS: tuple[Any, ...] = (None, True, False, [], {}, [None], [[]], {"": 0}, {"claim_id": "x"}, ["x"] * 101)
_values = st.one_of(
    st.sampled_from(_TEXTS),
    st.sampled_from(_NUMBERS),
    st.sampled_from(_OTHERS),
    st.text(max_size=20).filter(lambda t: t.isascii() or not any(0xD800 <= ord(c) < 0xE000 for c in t)),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
)
_names = st.sampled_from(("", "claim", "claim_id", "a/b~c", "lines", "张", "x" * 300, "13812345678", "__proto__", "\t"))

# --- changes of a body ------------------------------------------------------------------------------------

# Where something is: the list or object that holds it, and under what.
_Place = tuple[Any, Any]


def _places(value: Any) -> Iterator[_Place]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


def _replace(draw: DrawFn, holder: Any, key: Any) -> None:
    holder[key] = copy.deepcopy(draw(_values))


def _remove(draw: DrawFn, holder: Any, key: Any) -> None:
    del holder[key]


def _repeat(draw: DrawFn, holder: Any, key: Any) -> None:
    if isinstance(holder, list):
        holder.extend([copy.deepcopy(holder[key])] * draw(st.integers(1, 60)))
    else:
        holder[f"{key}{draw(st.sampled_from(('', 's', '_', ' ')))}2"] = copy.deepcopy(holder[key])


def _rename(draw: DrawFn, holder: Any, key: Any) -> None:
    if isinstance(holder, dict):
        letters = str(key)
        cut = draw(st.integers(0, max(0, len(letters) - 1)))
        holder[draw(_names) if draw(st.booleans()) else letters[:cut] + letters[cut + 1 :]] = holder.pop(key)


def _add(draw: DrawFn, holder: Any, key: Any) -> None:
    if isinstance(holder, dict):
        holder[draw(_names)] = copy.deepcopy(draw(_values))
    else:
        holder.insert(draw(st.integers(0, len(holder))), copy.deepcopy(draw(_values)))


def _nest(draw: DrawFn, holder: Any, key: Any) -> None:
    for _ in range(draw(st.sampled_from((1, 2, _DEEP)))):
        holder[key] = [holder[key]]


def _swap(draw: DrawFn, holder: Any, key: Any) -> None:
    """The value of another field: dates where amounts are, and the other way round."""
    other = draw(st.sampled_from(list(holder) if isinstance(holder, dict) else range(len(holder))))
    holder[key], holder[other] = holder[other], holder[key]


_CHANGES = (_replace, _replace, _replace, _remove, _repeat, _rename, _add, _nest, _swap)
# The last change undoes nothing: what it makes need not be JSON any more.
_BREAKS: Sequence[Callable[[bytes], bytes]] = (
    lambda b: b[: len(b) // 2],
    lambda b: b + b,
    lambda b: b"\xef\xbb\xbf" + b,
    lambda b: b.replace(b"0", b"\xff", 1),
    lambda b: b.replace(b'"', b"'"),
    lambda b: b.replace(b":", b":NaN,", 1),
    lambda b: b.decode().encode("utf-16"),
    lambda b: b"[" * 10_000 + b,
    lambda b: b"",
    lambda b: gzip.compress(b, mtime=0),
    lambda b: b" " * (1 << 20) + b,
    lambda b: b.replace(b",", b"\n,\x00", 1),
)


@st.composite
def _bodies(draw: DrawFn, sample: Any) -> bytes:
    root = [copy.deepcopy(sample)]
    for _ in range(draw(st.integers(0, _MOST_CHANGES))):
        places = list(_places(root))
        if places:
            draw(st.sampled_from(_CHANGES))(draw, *draw(st.sampled_from(places)))
    if not root:
        return b""
    body = orjson.dumps(root[0])
    return draw(st.sampled_from(_BREAKS))(body) if draw(st.integers(0, 9)) == 0 else body


# --- headers and addresses --------------------------------------------------------------------------------

_HEADERS: Mapping[str, Sequence[str]] = {
    "Content-Type": (
        "text/plain", "application/json; charset=latin-1", "application/xml", "application/x-ndjson", "x",
        "multipart/form-data", "APPLICATION/JSON;charset=utf-8", "application/fhir+json",
    ),
    "Content-Encoding": ("gzip", "identity", "br"),
    "Idempotency-Key": ("k", "k" * 200, "k" * 201, "a b", "é", "\t", "../x", "'"),
    "X-Request-ID": ("r-1", "r" * 129, "a b", "<x>", "é"),
    "Accept": ("text/html", "application/pdf", "application/x-ndjson", "image/png", "*/*;q=0", "x", "application/json"),
    "Authorization": ("Bearer x", "Basic eDp4", "Bearer", "bearer fraud_00000000_" + "a" * 43, "é"),
    "X-Purpose": ("why", "x" * 201, "%00%ff", "投诉"),
    "traceparent": ("00-" + "0" * 32 + "-" + "0" * 16 + "-01", "x"),
}  # fmt: skip


@st.composite
def _headers(draw: DrawFn, media_type: str) -> dict[str, str]:
    found = {"Content-Type": media_type} if media_type else {}
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 1, 2)))):
        name = draw(st.sampled_from(sorted(_HEADERS)))
        found[name] = draw(st.sampled_from(_HEADERS[name]))
    return found


def filled(address: str, ids: Mapping[str, str]) -> str:
    """The address with its parameters.

    >>> filled("/v1/cases/{id}/files/{number}", {"id": "a/b", "number": "1"})
    '/v1/cases/a%2Fb/files/1'
    """
    return _PARAMETER.sub(lambda found: quote(ids[found[1]], safe="", errors="replace"), address)


_PARAMETER = re.compile(r"\{(\w+)\}")


def mutated_requests(document: Mapping[str, Any], known: Known) -> SearchStrategy[Request]:
    """Bodies of the description's own examples with up to four changes, and NDJSON of them where a call takes that."""
    found = [_of_call(path, call["post"], known) for path, call in document["paths"].items() if "post" in call]
    return st.one_of(found)


def _of_call(path: str, call: Mapping[str, Any], known: Known) -> SearchStrategy[Request]:
    content = call["requestBody"]["content"]
    sample = next(c["examples"]["sample"]["value"] for c in content.values() if "examples" in c)

    @st.composite
    def request(draw: DrawFn) -> Request:
        media_type = draw(st.sampled_from(sorted(content)))
        parts = sample if "ndjson" in media_type else [sample]
        body = b"\n".join(draw(_bodies(one)) for one in parts)
        query = draw(st.sampled_from(("", "", "", "?locale=zh-CN", "?locale=xx", "?a=b&a=c", "?%00")))
        own = {name: draw(st.sampled_from(known[name])) for name in _PARAMETER.findall(path)}
        return Request("POST", filled(path, own) + query, path, draw(_headers(media_type)), body)

    return request()


_IDS = (*_TEXTS, "a/b", "..", ".", "%2e%2e", "x" * 3_000, "c-1001", "p-17", "h-3", "d-8", "warm-up", "\r\n", "?", "#")
_QUERIES = ("", "", "?locale=zh-CN", "?locale=", "?who=%ff", "?most=-1", "?most=1e9", "?record=patient:x", "?record=x")
_NOWHERE = ("/v1", "/v1/", "/v1/claims/", "//v1/claims", "/v1/Claims/score", "/metrics/x", "/%00", "/a?b=c")
_METHODS = ("GET", "GET", "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD")


@st.composite
def strange_addresses(draw: DrawFn, document: Mapping[str, Any], known: Known) -> Request:
    """Any method on addresses with known and strange ids and queries, and on addresses that nobody knows."""
    templates = sorted(p for p in document["paths"] if p not in ("/metrics", "/livez", "/readyz"))
    template = draw(st.sampled_from((*templates, *_NOWHERE)))
    method = draw(st.sampled_from(_METHODS))
    strange = st.one_of(st.sampled_from(_IDS), st.text(max_size=8))
    names = _PARAMETER.findall(template)
    own = {n: draw(st.sampled_from(known[n]) if draw(st.booleans()) else strange) for n in names}
    described = template if method.lower() in document["paths"].get(template, {}) else ""
    headers = draw(_headers(_JSON if method in ("POST", "PUT", "PATCH") else ""))
    return Request(method, filled(template, own) + draw(st.sampled_from(_QUERIES)), described, headers)
