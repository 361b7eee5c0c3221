"""`QuotedProcess`: this library in a process of its own, reading quoted passages."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import torch
from transformers.utils import logging

from ... import Document, Library, SharedLLMEngine, TreeCache
from ...generation.quoting import Quote, QuoteTemplate
from ..machine import process_memory
from .system import NEW_TOKENS, FirstToken, MeasuredProcess

__all__ = ["QuotedProcess"]

_T = TypeVar("_T")


class QuotedProcess(MeasuredProcess):
    """An engine that quotes, in a process of its own.

    Args:
        model: what `SharedLLMEngine.from_pretrained` takes.
        quote_tokens: the most tokens of passages.
        folder: paths of documents are relative to it.
        threads: of torch.
    """

    def __init__(self, model: str, quote_tokens: int, folder: Path, *, threads: int) -> None:
        self._loading = (model, quote_tokens, folder, threads)
        self._pool: ProcessPoolExecutor | None = None
        self._process_id = 0

    def start(self) -> None:
        """See `MeasuredProcess`."""
        self._pool = ProcessPoolExecutor(1, get_context("spawn"))
        self._process_id = self._call(_load, *self._loading)

    def close(self) -> None:
        """See `MeasuredProcess`."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def first_token(self, paths: Sequence[str], question: str) -> FirstToken:
        """Answer a question about files, and time the first token; other files than before are read first."""
        return self._call(_first_token, tuple(paths), question)

    def messages(self, paths: Sequence[str], question: str) -> tuple[list[dict[str, Any]], float]:
        """Return the conversation with the quoted passages, and the seconds that it took."""
        return self._call(_messages, tuple(paths), question)

    def dtype(self) -> str:
        """Return the dtype of the weights."""
        return self._call(_dtype)

    @property
    def peak_bytes(self) -> int:
        """See `MeasuredProcess`."""
        return process_memory("VmHWM", self._process_id)

    def _call(self, function: Callable[..., _T], *arguments: Any) -> _T:
        assert self._pool is not None, "start comes first"
        return self._pool.submit(function, *arguments).result()


class _Reader:
    """What the process holds: the engine, and the library of the last question."""

    def __init__(self, engine: SharedLLMEngine) -> None:
        self.engine = engine
        self._paths: tuple[str, ...] = ()
        self._library: Library | None = None

    def library(self, paths: tuple[str, ...]) -> Library:
        if self._library is None or paths != self._paths:
            self._paths, self._library = paths, self.engine.library(paths)
        return self._library


_readers: list[_Reader] = []  # of this process: one, once it has loaded the model


def _load(model: str, quote_tokens: int, folder: Path, threads: int) -> int:
    logging.disable_progress_bar()
    torch.set_num_threads(threads)
    os.chdir(folder)  # so that documents are named by short paths
    engine = SharedLLMEngine.from_pretrained(model, cache=TreeCache([]), reading="quoted", quote_tokens=quote_tokens)
    engine.ask("What opens a window?", Document("A handle opens a window."), max_new_tokens=2)
    _readers.append(_Reader(engine))
    return os.getpid()


def _first_token(paths: tuple[str, ...], question: str) -> FirstToken:
    begin = time.perf_counter()
    (reader,) = _readers
    with reader.engine.stream(
        question, reader.library(paths), max_new_tokens=NEW_TOKENS, temperature=0, num_evidence=0
    ) as stream:
        next(stream, None)  # none where the first token ends the answer
        seconds = time.perf_counter() - begin
        for _ in stream:
            pass
        assert stream.answer is not None
        return FirstToken(seconds, stream.answer.usage.running_text_tokens)


def _messages(paths: tuple[str, ...], question: str) -> tuple[list[dict[str, Any]], float]:
    begin = time.perf_counter()
    (reader,) = _readers
    library = reader.library(paths)
    titles = {document.id: document.title for document in library}
    quotes = [Quote(titles[one.document_id], one.text) for one in reader.engine.passages(question, library)]
    messages = QuoteTemplate().place([{"role": "user", "content": question}], quotes)
    return [dict(message) for message in messages], time.perf_counter() - begin


def _dtype() -> str:
    (reader,) = _readers
    return str(reader.engine.model.dtype).removeprefix("torch.")
