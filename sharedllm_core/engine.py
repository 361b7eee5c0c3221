"""`SharedLLMEngine`: text in, text out. Joins the model, the tree cache and text."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import Any, Literal, Self, TypeVar, Unpack

import torch
from transformers import PreTrainedTokenizerBase

from .answer import Answer, Evidence, Usage
from .answer_settings import AnswerOptions, AnswerSettings
from .answer_stream import AnswerStream, AsyncAnswerStream
from .decoding import Sink, Written, write
from .documents import Document, read_documents
from .documents.reading import MAX_FILE_BYTES, Source
from .engine_loading import load_model, load_tokenizer
from .errors import DocumentError, InputError, UntrainedInjectionError
from .evidence import evidence_spans, state_scores, token_scores
from .fair_lock import FairLock
from .library import Library, make_library
from .modeling import SharedLLMForCausalLM
from .progress import Progress
from .prompting import Message, Prompt, build_prompt, unasked_ids
from .tokenization import TextTokenizer
from .tree_cache import TreeCache, lower_fingerprint
from .tree_reader import ReadPast, TreeReader

__all__ = ["Documents", "Question", "SharedLLMEngine"]

#: What to answer: a question, or messages of which the last is to be answered.
Question = str | Sequence[Message]
#: What to answer from: a library, or paths, globs and documents that are not read yet; `None` for nothing.
Documents = Library | Source | Iterable[Source] | None

_T = TypeVar("_T")
_BATCH_ROWS = 8
_THREADS = 32  # that async calls wait in


class SharedLLMEngine:
    """Reads documents once and answers questions from them.

    All methods may be called from any number of threads. The model serves them in the order in which they came; an
    `async` form never blocks the event loop.

    Args:
        model: in evaluation mode.
        tokenizer: the base model's, a fast one.
        cache: where trees are kept; by default memory and the user's cache folder.
        allow_untrained: answer also with an injection that was never trained, which ignores the documents.

    Raises:
        TokenizerError: a tokenizer that knows no character offsets.
    """

    def __init__(
        self,
        model: SharedLLMForCausalLM,
        tokenizer: PreTrainedTokenizerBase | TextTokenizer,
        *,
        cache: TreeCache | None = None,
        allow_untrained: bool = False,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer if isinstance(tokenizer, TextTokenizer) else TextTokenizer(tokenizer)
        self.cache = TreeCache.default() if cache is None else cache
        self.allow_untrained = allow_untrained
        self._lock = FairLock()
        self._fingerprint = lower_fingerprint(model.lower_model)
        self._reader = TreeReader(model, self.cache, self._lock, self._fingerprint)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sharedllm-engine")

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path | None = None,
        *,
        base: str | Path | None = None,
        tokenizer: str | Path | PreTrainedTokenizerBase | None = None,
        cache: TreeCache | None = None,
        allow_untrained: bool = False,
        device: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Load a checkpoint with its tokenizer.

        Args:
            name: folder or hub id of a full checkpoint or an adapter; by default the model of this package.
            base: of an adapter, where its base model is now.
            tokenizer: where the tokenizer is, if not in the checkpoint or in the base's.
            cache, allow_untrained: see the class.
            device: such as `"cuda"`.
            kwargs: of transformers' `from_pretrained` (`dtype`, `device_map`, `attn_implementation`, …).

        Raises:
            CheckpointError: not a checkpoint of this library, or a damaged one.
            TokenizerError: no tokenizer is there, or not a fast one.
        """
        model = load_model(name, base, device, kwargs)
        return cls(model, load_tokenizer(tokenizer, name, model), cache=cache, allow_untrained=allow_untrained)

    def with_cache(self, cache: TreeCache) -> Self:
        """An engine for another tenant: the same model, which both wait for in one line, and another cache."""
        other = object.__new__(type(self))
        other.__dict__ |= {name: value for name, value in self.__dict__.items() if name != "_unasked"}
        other.cache = cache
        other._reader = TreeReader(self.model, cache, self._lock, self._fingerprint)
        return other

    # ---------------------------------------------------------------------------------------------- documents

    def library(
        self,
        sources: Source | Iterable[Source],
        *,
        on_error: Literal["raise", "skip"] = "raise",
        max_file_bytes: int = MAX_FILE_BYTES,
    ) -> Library:
        """Load and tokenise documents without running the model: each question then reads what it retains of them.

        Args and errors are those of `read`.
        """
        found = read_documents(sources, on_error=on_error, max_file_bytes=max_file_bytes)
        if not found.documents:
            why = f"; {len(found.skipped)} files were skipped, the first: {found.skipped[0]}" if found.skipped else ""
            raise DocumentError(f"there are no documents in {_shown(sources)}{why}; give files, folders or Documents")
        made = make_library(found.documents, self.tokenizer, self.model.method.chunk_tokens, found.skipped)
        if not made.num_tokens:
            raise DocumentError(f"the {len(made)} documents hold no text; give some that do")
        return made

    def read(
        self,
        sources: Source | Iterable[Source] | Library,
        *,
        on_error: Literal["raise", "skip"] = "raise",
        max_file_bytes: int = MAX_FILE_BYTES,
        progress: bool | None = None,
        cancelled: Event | None = None,
    ) -> Library:
        """Load documents, compress them, and keep their trees in the cache, so that questions need not wait.

        Args:
            sources: paths, globs and `Document`s. A string is a path or a glob, never text.
            on_error: `"skip"` leaves out files that cannot be read; `library.skipped` names them.
            max_file_bytes: the largest file that is read.
            progress: show a progress bar on stderr; by default if that is a terminal.
            cancelled: set it, from another thread, to stop reading. What has been read stays in the cache.

        Raises:
            DocumentError: a path that does not exist, a file that cannot be read, or no text at all.
        """
        library = self._known(sources) if isinstance(sources, Library) else None
        library = library or self.library(sources, on_error=on_error, max_file_bytes=max_file_bytes)
        with Progress(progress) as shown:
            self._reader.read(library, shown, cancelled or Event())
        return library

    def forget(self, documents: Library | Source | Iterable[Source]) -> int:
        """Delete the trees of documents from every tier of the cache; how many trees there were.

        Where another document has an equal chunk, that one's tree goes too, and is made again when it is needed.
        """
        library = self._known(documents) if isinstance(documents, Library) else self.library(documents)
        return self.cache.forget(list(dict.fromkeys(self._reader.keys(library))))

    # ---------------------------------------------------------------------------------------------- questions

    def ask(
        self,
        question: Question,
        documents: Documents = None,
        *,
        cancelled: Event | None = None,
        **options: Unpack[AnswerOptions],
    ) -> Answer:
        """Answer a question from documents.

        Args:
            question: a string, or messages of which the last is to be answered. Turns that do not fit into the window
                are read as past context, and `Answer.moved` names them.
            documents: what `read` returned. Others are loaded, and of what the cache has not, only what this question
                retains is read: the shortest way to one answer.
            cancelled: set it, from another thread, to stop within one token.
            options: see `AnswerSettings`.

        Raises:
            InputError: no question, or a setting out of range.
            WindowError: the last turn alone is longer than the window.
            DocumentError: see `read`.
            UntrainedInjectionError: the model would ignore the documents.
        """
        return self._answers([question], [documents], options)([_ignore], cancelled or Event())[0]

    def ask_batch(
        self,
        questions: Sequence[Question],
        documents: Documents | Sequence[Library | None] = None,
        *,
        batch_size: int = _BATCH_ROWS,
        cancelled: Event | None = None,
        **options: Unpack[AnswerOptions],
    ) -> list[Answer]:
        """Answer several questions side by side; each as it would be answered alone.

        Args:
            questions: as for `ask`.
            documents: for all questions; or a list with one library, or `None`, for each.
            batch_size: how many to generate at once.
            cancelled, options: as for `ask`.
        """
        if isinstance(questions, str):
            raise InputError("questions is one string; give a list of questions")
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size} is not allowed; it must be at least 1")
        if (
            isinstance(documents, Sequence)
            and documents
            and all(d is None or isinstance(d, Library) for d in documents)
        ):
            per_question: list[Any] = list(documents)
        else:
            per_question = [self._opened(documents)] * len(questions)  # type: ignore[arg-type]
        if len(per_question) != len(questions):
            raise InputError(f"{len(per_question)} libraries for {len(questions)} questions; give one for each, or one")
        groups = [slice(first, first + batch_size) for first in range(0, len(questions), batch_size)]
        calls = [self._answers(questions[group], per_question[group], options) for group in groups]
        event = cancelled or Event()
        sinks = [[_ignore] * len(questions[group]) for group in groups]
        return [answer for call, of in zip(calls, sinks, strict=True) for answer in call(of, event)]

    def stream(self, question: Question, documents: Documents = None, **options: Unpack[AnswerOptions]) -> AnswerStream:
        """As `ask`, piece by piece: an iterator of strings. When it ends, its `answer` is the whole answer.

        Wrong input raises here, not at the first piece.
        """
        call = self._answers([question], [documents], options)
        return AnswerStream(lambda sink, cancelled: call([sink], cancelled)[0])

    # ---------------------------------------------------------------------------------------------- async forms

    async def aread(self, sources: Source | Iterable[Source] | Library, **kwargs: Any) -> Library:
        """`read` for asyncio; cancelling the task stops reading."""
        return await self._in_thread(lambda cancelled: self.read(sources, cancelled=cancelled, **kwargs))

    async def aask(self, question: Question, documents: Documents = None, **options: Unpack[AnswerOptions]) -> Answer:
        """`ask` for asyncio; cancelling the task stops the model within one token."""
        return await self._in_thread(lambda cancelled: self.ask(question, documents, cancelled=cancelled, **options))

    async def aask_batch(
        self,
        questions: Sequence[Question],
        documents: Documents | Sequence[Library | None] = None,
        *,
        batch_size: int = _BATCH_ROWS,
        **options: Unpack[AnswerOptions],
    ) -> list[Answer]:
        """`ask_batch` for asyncio."""
        return await self._in_thread(
            lambda cancelled: self.ask_batch(
                questions, documents, batch_size=batch_size, cancelled=cancelled, **options
            )
        )

    def astream(
        self, question: Question, documents: Documents = None, **options: Unpack[AnswerOptions]
    ) -> AsyncAnswerStream:
        """`stream` for asyncio. Wrong input raises at the first piece, since loading documents may take long."""
        return AsyncAnswerStream(
            lambda sink, cancelled: self._answers([question], [documents], options)([sink], cancelled)[0]
        )

    async def _in_thread(self, call: Callable[[Event], _T]) -> _T:
        cancelled = Event()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call, cancelled)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    # ---------------------------------------------------------------------------------------------- inside

    def _answers(
        self, questions: Sequence[Question], documents: Sequence[Documents], options: AnswerOptions
    ) -> Callable[[Sequence[Sink], Event], list[Answer]]:
        """Check everything and prepare; what is returned writes the answers."""
        settings = AnswerSettings.of(options)
        new_tokens = settings.new_tokens(self._window_tokens)
        prompts = [build_prompt(question, self.tokenizer, self._window_tokens, new_tokens) for question in questions]
        libraries = [self._with_moved(self._opened(of), p) for of, p in zip(documents, prompts, strict=True)]
        if any(library is not None for library in libraries):
            self._check_trained()

        def answer(sinks: Sequence[Sink], cancelled: Event) -> list[Answer]:
            pasts = [self._past(library, prompt, cancelled) for library, prompt in zip(libraries, prompts, strict=True)]
            with self._lock:
                written = write(
                    self.model,
                    self.tokenizer,
                    [prompt.ids for prompt in prompts],
                    [None if read is None else read.past for read in pasts],
                    settings,
                    new_tokens,
                    sinks,
                    cancelled,
                )
                scores = [self._scores(*row, settings) for row in zip(prompts, written, pasts, strict=True)]
            rows = zip(prompts, libraries, pasts, written, scores, strict=True)
            return [_answer(*row, settings) for row in rows]

        return answer

    @property
    def _window_tokens(self) -> int:
        window: int = self.model.config.get_text_config().max_position_embeddings
        return window

    def _opened(self, documents: Documents) -> Library | None:
        if documents is None:
            return None
        return self._known(documents) if isinstance(documents, Library) else self.library(documents)

    def _known(self, library: Library) -> Library:
        """`library`, if its chunks are of this engine's kind."""
        own = (self.tokenizer.fingerprint, self.model.method.chunk_tokens)
        if (library.tokenizer, library.chunk_tokens) != own:
            raise InputError(
                f"the library was made by an engine with another tokenizer or chunk_tokens={library.chunk_tokens} "
                f"(this one has {own[1]}); read its documents with this engine: engine.read(library.documents)"
            )
        return library

    def _with_moved(self, library: Library | None, prompt: Prompt) -> Library | None:
        """The library, and after it the turns that did not fit into the window."""
        if not prompt.moved:
            return library
        said = "\n\n".join(f"{message['role'].capitalize()}: {message['content']}" for message in prompt.moved)
        turns = make_library([Document(said, id="conversation")], self.tokenizer, self.model.method.chunk_tokens)
        return turns if library is None else library.joined(turns)

    def _past(self, library: Library | None, prompt: Prompt, cancelled: Event) -> ReadPast | None:
        if library is None or cancelled.is_set():
            return None
        with Progress() as progress:
            return self._reader.past_context(library, prompt.query_ids, progress, cancelled)

    def _scores(self, prompt: Prompt, written: Written, read: ReadPast | None, settings: AnswerSettings) -> Any:
        if read is None or not written.ids or not settings.num_evidence or written.finish_reason == "cancelled":
            return None
        return state_scores(self.model, prompt.ids, torch.tensor(written.ids), self._unasked, read.past)

    @cached_property
    def _unasked(self) -> Any:
        return unasked_ids(self.tokenizer)

    def _check_trained(self) -> None:
        if self.allow_untrained or any(bool(layer.o_proj.weight.any()) for layer in self.model.injection):
            return
        raise UntrainedInjectionError(
            "the model's injection was never trained (its output projections are zero), so it would ignore the "
            "documents; train it with `sharedllm train`, load a trained one, or pass allow_untrained=True to see the "
            "base model's answers"
        )


def _answer(
    prompt: Prompt,
    library: Library | None,
    read: ReadPast | None,
    written: Written,
    scores: Any,
    settings: AnswerSettings,
) -> Answer:
    evidence: tuple[Evidence, ...] = ()
    if scores is not None and library is not None and read is not None:
        evidence = evidence_spans(library, token_scores(library, read.past, scores), settings.num_evidence)
    assert written.finish_reason is not None
    usage = Usage(
        past_context_tokens=0 if library is None else library.num_tokens,
        cached_tokens=0 if read is None else read.cached_tokens,
        running_text_tokens=len(prompt.ids),
        completion_tokens=len(written.ids),
        injected_states=0 if read is None else read.past.num_states,
    )
    return Answer(written.text, written.finish_reason, usage, evidence, tuple(prompt.moved))


def _ignore(piece: str) -> None:
    pass


def _shown(sources: object) -> str:
    return f"{sources!r:.200}"
