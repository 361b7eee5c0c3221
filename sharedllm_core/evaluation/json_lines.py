"""Rows of JSON lines, packed or not, with errors that name file and line."""

import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import DocumentError

__all__ = ["check_fields", "rows_of"]


def rows_of(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file, each with where it stands; one is in memory at a time.

    Args:
        path: a name that ends in `.xz` is unpacked on the way.

    Raises:
        DocumentError: the file is missing, empty or damaged, or a line is no object.
    """
    if not path.is_file():
        raise DocumentError(f"{path} is no file", remedy="give a file of JSON lines (.jsonl or .jsonl.xz)")
    line = 0
    some = False
    try:
        with lzma.open(path, "rb") if path.suffix == ".xz" else path.open("rb") as file:
            for line, row in enumerate(file, start=1):
                if row.strip():
                    some = True
                    where = f"{path}, line {line}"
                    yield where, _object(row, where)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise DocumentError(
            f"{path}, after line {line}: {error}", remedy="the file is damaged, copy it anew"
        ) from error
    if not some:
        raise DocumentError(f"{path} is empty", remedy="give a file of JSON lines with at least one row")


def _object(row: bytes, where: str) -> dict[str, Any]:
    try:
        content = json.loads(row)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DocumentError(f"{where}: no JSON ({error})", remedy="write one object a line, in UTF-8") from error
    if not isinstance(content, dict):
        raise DocumentError(f"{where}: a {type(content).__name__}", remedy="write one object a line")
    return content


def check_fields(row: dict[str, Any], where: str, fields: dict[str, type | tuple[type, ...]]) -> None:
    """Check that a row has fields of the types that its format has.

    Raises:
        DocumentError: a field is missing or of another type.
    """
    for name, wanted in fields.items():
        types = wanted if isinstance(wanted, tuple) else (wanted,)
        if name not in row:
            raise DocumentError(
                f"{where}: there is no {name!r} among {sorted(row)}", remedy="use a file of the published format"
            )
        if not isinstance(row[name], types):
            names = " or ".join(kind.__name__ for kind in types)
            raise DocumentError(f"{where}: {name!r} is a {type(row[name]).__name__}", remedy=f"it must be a {names}")
