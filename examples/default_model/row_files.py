"""Rows for `sharedllm train`, and their files."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sharedllm_core import Library
from sharedllm_core.text.passages import Passage, find_passages
from sharedllm_core.text.tokenization import TextTokenizer

#: A row, and how its documents are searched for what the passages of another row will be.
SearchedRow = tuple[dict[str, Any], Callable[[str], list[dict[str, str]]]]


def passage_documents(passages: Iterable[Passage], library: Library) -> list[dict[str, str]]:
    """Passages as the documents of a row, each with the title of its document."""
    titles = {document.id: document.title for document in library}
    return [{"title": titles[one.document_id], "text": one.text} for one in passages]


def searched_documents(
    library: Library, tokenizer: TextTokenizer, budget: int
) -> Callable[[str], list[dict[str, str]]]:
    """What is found in a library for a request, within a budget of tokens, as the documents of a row."""
    return lambda request: passage_documents(find_passages(request, library, tokenizer, budget), library)


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as JSON lines; the folder is created if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
