"""Text of Word files."""

import io
from typing import Any

from ..extracted import Extracted

__all__ = ["read_word"]


def read_word(content: bytes) -> Extracted:
    """Extract paragraphs and tables in their order."""
    import docx
    from docx.table import Table

    def text_of(block: Any) -> str:
        if isinstance(block, Table):
            return "\n".join(" | ".join(cell.text for cell in row.cells) for row in block.rows)
        return str(block.text)

    document = docx.Document(io.BytesIO(content))
    return Extracted("\n".join(text_of(block) for block in document.iter_inner_content()))
