"""Text of JSON files and of notebooks."""

import json

from ..extracted import Extracted
from .encodings import decode

__all__ = ["read_json", "read_notebook"]


def read_json(content: bytes) -> Extracted:
    """Extract JSON as indented text."""
    return Extracted(json.dumps(json.loads(decode(content)), indent=1, ensure_ascii=False))


def read_notebook(content: bytes) -> Extracted:
    """Extract the source of all cells of a notebook."""
    cells = json.loads(decode(content))["cells"]
    return Extracted("\n\n".join("".join(cell["source"]) for cell in cells))
