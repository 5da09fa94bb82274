"""A page inside a notebook: in a frame of its own, so that neither sees the other's styles."""

from __future__ import annotations

from html import escape

__all__ = ["HEIGHT", "in_frame"]

# Pixels: the summary and the first findings, with the next cell still in sight.
HEIGHT = 620
_BASE = '<base href="about:srcdoc">'


def in_frame(page: str, title: str, height: int = HEIGHT) -> str:
    """A whole HTML page as an element of another, which scrolls by itself and runs nothing."""
    # Its links lead to places within it; without this they would be those of the page around it.
    page = page.replace("<head>", f"<head>{_BASE}", 1)
    return (
        f'<iframe sandbox="" srcdoc="{escape(page)}" title="{escape(title)}" width="100%" height="{height}" '
        'style="border: 1px solid #e2e8f0; border-radius: 8px; background: #f8fafc"></iframe>'
    )
