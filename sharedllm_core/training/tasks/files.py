"""Texts from JSON lines, and tasks to JSON lines."""

import json
import lzma
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ...errors import DocumentError
from ...method.checks import check_whole
from .generator import generate_tasks
from .haystack import Text
from .settings import TaskSettings

__all__ = ["TextFiles", "read_texts", "write_tasks"]


class TextFiles:
    """The texts of files of JSON lines; each iteration reads them anew, one row in memory at a time.

    Args:
        paths: files whose rows are objects with `text` and, if they have one, `title`. Names that end in `.xz` are
            unpacked on the way.

    Raises:
        DocumentError: a file does not exist; and, while they are read, a row that is not such an object, with its file
            and line.
    """

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self._paths = [Path(path) for path in paths]
        for path in self._paths:
            if not path.is_file():
                raise DocumentError(f"{path} is no file", remedy="give files of JSON lines (.jsonl or .jsonl.xz)")

    def __iter__(self) -> Iterator[dict[str, str]]:
        for path in self._paths:
            line = 0
            try:
                with lzma.open(path, "rb") if path.suffix == ".xz" else path.open("rb") as file:
                    for line, row in enumerate(file, start=1):
                        if row.strip():
                            yield _text_of_row(row, f"{path}, line {line}")
            except (OSError, EOFError, lzma.LZMAError) as error:
                raise DocumentError(
                    f"{path}, after line {line}: {error}", remedy="the file is damaged, copy it anew"
                ) from error


def _text_of_row(row: bytes, where: str) -> dict[str, str]:
    try:
        content = json.loads(row)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DocumentError(f"{where}: no JSON ({error})", remedy="write one object a line, in UTF-8") from error
    if not isinstance(content, dict) or not isinstance(content.get("text"), str):
        found = f"an object with {sorted(content)}" if isinstance(content, dict) else f"a {type(content).__name__}"
        raise DocumentError(f"{where}: {found}", remedy='write an object with a string "text"')
    return {"title": str(content.get("title") or where), "text": content["text"]}


def read_texts(paths: str | Path | Iterable[str | Path]) -> TextFiles:
    """Texts to make tasks from, read while they are needed.

    Args:
        paths: one or more files, see `TextFiles`.
    """
    return TextFiles([paths] if isinstance(paths, str | Path) else paths)


def write_tasks(
    path: str | Path,
    texts: Iterable[Text] | None,
    settings: TaskSettings,
    seed: int,
    count: int,
    *,
    start: int = 0,
) -> None:
    """Write tasks as JSON lines. The file appears when it is complete; one that was there is replaced.

    Args:
        path: of the file.
        texts: see `generate_tasks`.
        settings: which tasks.
        seed: the same seed, settings and texts give the same bytes.
        count: how many tasks.
        start: the first task.

    Raises:
        ConfigError: `count` is not 1 or more, or see `generate_tasks`.
        DocumentError: see `generate_tasks`.
    """
    check_whole("count", count, at_least=1)
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("w", encoding="utf-8", newline="\n") as file:
            for task in generate_tasks(texts, settings, seed, start=start, count=count):
                file.write(task.to_json() + "\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
