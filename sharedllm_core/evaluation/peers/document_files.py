"""`DocumentFiles`: documents of a data set as small text files, each used in one turn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import AutoTokenizer

from ... import Document
from ...engine.model_names import checkpoint_location
from ...errors import InputError

__all__ = ["DocumentFiles", "TurnFiles"]

_MOST_CHARACTERS = 2000  # a longer document becomes several files


@dataclass(frozen=True)
class TurnFiles:
    """Paths of the documents of a turn, relative to the folder of the run.

    Attributes:
        paths: in the order of the data set.
        replaced: with another file in place of the middle one.
        reordered: the files of `paths` in reverse order.
    """

    paths: list[str]
    replaced: list[str]
    reordered: list[str]


class DocumentFiles:
    """Writes documents to files, as many as a turn needs.

    Args:
        folder: where files are written.
        documents: longer ones than 2,000 characters are cut.
        model: whose tokenizer counts.
    """

    def __init__(self, folder: Path, documents: Sequence[Document], model: str) -> None:
        self._folder = folder
        self._texts = _pieces(documents)
        self._tokenizer = AutoTokenizer.from_pretrained(checkpoint_location(model))
        self._written = 0

    def take(self, tokens: int) -> TurnFiles:
        """Write documents of `tokens` tokens together, and one more to replace the middle one with.

        Raises:
            InputError: the data set has too little text left.
        """
        paths = []
        room = tokens
        while room > 0:
            text = self._next()
            starts = [start for start, _ in self._offsets(text)]
            paths.append(self._write(text[: starts[room]] if len(starts) > room else text))
            room -= len(starts)
        middle = len(paths) // 2
        replaced = [*paths[:middle], self._write(self._next()), *paths[middle + 1 :]]
        return TurnFiles(paths, replaced, paths[::-1])

    def _next(self) -> str:
        text = next(self._texts, None)
        if text is None:
            raise InputError(
                "the data set has too little text for all turns", remedy="lower --tokens or --turns, or give --sets"
            )
        return text

    def _offsets(self, text: str) -> list[tuple[int, int]]:
        found = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        offsets: list[tuple[int, int]] = found["offset_mapping"]
        return offsets

    def _write(self, text: str) -> str:
        name = f"{self._written:04}.txt"
        self._written += 1
        (self._folder / name).write_text(text, encoding="utf-8")
        return name


def _pieces(documents: Sequence[Document]) -> Iterator[str]:
    for document in documents:
        for first in range(0, len(document.text), _MOST_CHARACTERS):
            if text := document.text[first : first + _MOST_CHARACTERS].strip():
                yield text
