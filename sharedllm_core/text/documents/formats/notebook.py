"""Text of notebooks: Markdown, code and outputs."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..extracted import Extracted
from .encodings import decode_text
from .html import read_html
from .text_builder import TextBuilder

__all__ = ["read_notebook"]

_TERMINAL_COLORS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def read_notebook(content: bytes) -> Extracted:
    """Extract the sources and the text outputs of all cells; each cell is a place."""
    decoded = decode_text(content)
    notebook = json.loads(decoded.text)
    cells = (
        notebook["cells"] if "cells" in notebook else [c for sheet in notebook["worksheets"] for c in sheet["cells"]]
    )
    builder = TextBuilder()
    builder.warnings += decoded.warnings
    for number, cell in enumerate(cells, start=1):
        if number > 1:
            builder.add_blank_line()
        builder.add_place("cell", str(number))
        blocks = [_joined(cell.get("source", cell.get("input", ""))), *_outputs(cell)]
        builder.add_blocks(blocks)
    return builder.extracted()


def _outputs(cell: Mapping[str, Any]) -> Iterator[str]:
    for output in cell.get("outputs", ()):
        if output.get("output_type") in {"error", "pyerr"}:
            text = f"{output.get('ename', '')}: {output.get('evalue', '')}"
        else:
            text = _shown(output, output.get("data", output))
        if text.strip():
            yield f"Output:\n{_TERMINAL_COLORS.sub('', text)}"


def _shown(output: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """The output as text; tables are read from HTML, which keeps their columns."""
    html = _joined(data.get("text/html", data.get("html", "")))
    if "<table" in html:
        return read_html(html.encode("utf-8", "replace")).text
    for kind in ("text/markdown", "text/plain", "text/latex", "text"):
        if kind in data:
            return _joined(data[kind])
    return read_html(html.encode("utf-8", "replace")).text if html else _joined(output.get("text", ""))


def _joined(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)
