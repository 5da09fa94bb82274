"""What browsers send: fields and files of a form, bounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from urllib.parse import parse_qs

from fraud.web.pages.frame.problems import PageProblem

__all__ = ["File", "Form", "read_form"]

_MOST_FIELDS = 500


@dataclass(frozen=True)
class File:
    """A file of a form."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class Form:
    """The fields of a form, each with all its values, and its files."""

    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)

    def text(self, name: str, default: str = "") -> str:
        """The first value of a field, without the space around it."""
        return (self.fields.get(name) or (default,))[0].strip()

    def secret(self, name: str) -> str:
        """The first value as it was typed: a password may begin with a space."""
        return (self.fields.get(name) or ("",))[0]

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a field."""
        return tuple(self.fields.get(name, ()))

    def words(self, name: str) -> tuple[str, ...]:
        """The words of a field that are parted by spaces, commas or lines, each once."""
        found = self.text(name).replace(",", " ").replace("，", " ").replace("、", " ").split()
        return tuple(dict.fromkeys(found))


def read_form(body: bytes, content_type: str) -> Form:
    """The form of a body; raises `PageProblem` for what is none."""
    header = Message()
    header["content-type"] = content_type
    kind = header.get_content_type()
    if kind == "application/x-www-form-urlencoded":
        return Form(_fields(body))
    if kind == "multipart/form-data" and (boundary := header.get_param("boundary")):
        return _parts(body, str(boundary))
    raise PageProblem("media-type", "Send a form.")


def _fields(body: bytes) -> dict[str, tuple[str, ...]]:
    try:
        found = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise PageProblem("not-a-form", "The form cannot be read.") from None
    return {name: tuple(values) for name, values in found.items()}


def _parts(body: bytes, boundary: str) -> Form:
    from python_multipart import create_form_parser
    from python_multipart.exceptions import FormParserError

    fields: dict[str, list[str]] = {}
    files: dict[str, File] = {}

    def take_field(found: object) -> None:
        name, value = getattr(found, "field_name", b"") or b"", getattr(found, "value", b"") or b""
        fields.setdefault(name.decode("utf-8", "replace"), []).append(value.decode("utf-8", "replace"))

    def take_file(found: object) -> None:
        file = found.file_object  # type: ignore[attr-defined]
        file.seek(0)
        name = (found.field_name or b"").decode("utf-8", "replace")  # type: ignore[attr-defined]
        given = (found.file_name or b"").decode("utf-8", "replace")  # type: ignore[attr-defined]
        media_type = str(getattr(found, "content_type", "") or "application/octet-stream")
        content = file.read()
        file.close()
        if given or content:
            # What stands before the last slash is the sender's folder, and nobody's business here.
            files[name] = File(given.replace("\\", "/").rsplit("/", 1)[-1][:200], media_type, content)

    header = f'multipart/form-data; boundary="{boundary}"'.encode()
    # Bodies are bounded, so that nothing needs to go to the disk.
    parser = create_form_parser(
        {"Content-Type": header}, take_field, take_file, config={"MAX_MEMORY_FILE_SIZE": len(body) + 1}
    )
    try:
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise PageProblem("not-a-form", "The form cannot be read.") from None
    if len(fields) > _MOST_FIELDS:
        raise PageProblem("not-a-form", "The form has too many fields.")
    return Form({name: tuple(values) for name, values in fields.items()}, files)
