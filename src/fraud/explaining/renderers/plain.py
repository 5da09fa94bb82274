"""A document as JSON: for a report all its figures as they were worked out, and beside them what is said of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import orjson

from fraud.explaining.content.document import Document
from fraud.explaining.explanation import Explanation

__all__ = ["as_json"]


def as_json(document: Document, explanation: Explanation | None = None) -> bytes:
    """JSON in UTF-8; `content` is the document, the other fields those of the explanation."""
    figures: dict[str, Any] = explanation.as_dict() if explanation is not None else {}
    content = asdict(document)
    return orjson.dumps(figures | {"content": content}, option=orjson.OPT_SERIALIZE_NUMPY)
