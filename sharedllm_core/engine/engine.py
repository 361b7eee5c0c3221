"""`SharedLLMEngine`: text in, text out. Joins the model, the tree cache and text."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock
from typing import Any, Literal, Self, TypeVar, Unpack

from transformers import PreTrainedTokenizerBase

from ..errors import DocumentError, InputError
from ..generation.answer import Answer
from ..generation.prompting import query_text
from ..generation.settings import AnswerOptions, AnswerSettings
from ..model.modeling import SharedLLMForCausalLM
from ..model.past_context import PastContext
from ..text.documents import read_documents
from ..text.documents.reading import MAX_FILE_BYTES, Source
from ..text.library import Library, make_library
from ..text.tokenization import TextTokenizer
from ..tree_cache import TreeCache, lower_fingerprint
from .answering import Answering, Prepared, Question
from .fair_lock import FairLock
from .fingerprint import answer_fingerprint
from .inspection import Inspection
from .loading import load_model, load_tokenizer
from .progress import Progress
from .reading import TreeReader
from .streaming import AnswerStream, AsyncAnswerStream

__all__ = ["Documents", "Question", "SharedLLMEngine"]

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
        self._lock = FairLock()
        self._fingerprint = lower_fingerprint(model.lower_model)
        self._digests: list[str] = []  # shared with engines of other caches
        self._digests_lock = Lock()
        self._reader = TreeReader(model, self.cache, self._lock, self._fingerprint)
        self._answering = Answering(self.model, self.tokenizer, self._reader, self._lock, allow_untrained)
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
        policy: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Load a checkpoint with its tokenizer.

        Args:
            name: folder or hub id of a full checkpoint or an adapter; by default the model of this package.
            base: of an adapter, where its base model is now.
            tokenizer: where the tokenizer is, if not in the checkpoint or in the base's.
            cache, allow_untrained: see the class.
            device: such as `"cuda"`.
            policy: select by another policy than the checkpoint's, such as `"lexical"`.
            kwargs: of transformers' `from_pretrained` (`dtype`, `device_map`, `attn_implementation`, …). Without
                `dtype`, weights in half precision are float32 on a CPU that cannot multiply in it.

        Raises:
            CheckpointError: not a checkpoint of this library, or a damaged one.
            TokenizerError: no tokenizer is there, or not a fast one.
            ConfigError: there is no such policy.
        """
        model = load_model(name, base, device, policy, kwargs)
        return cls(model, load_tokenizer(tokenizer, name, model), cache=cache, allow_untrained=allow_untrained)

    @property
    def fingerprint(self) -> str:
        """A hash of the weights that read documents: the same for engines that share trees."""
        return self._fingerprint

    @property
    def answer_fingerprint(self) -> str:
        """A hash of what decides about answers: all weights, the method with its policy, and the tokenizer.

        Caches of answers must key on it. Made at first use, and then every weight is read, so not on an event loop.
        """
        with self._digests_lock:
            if not self._digests:
                self._digests.append(answer_fingerprint(self.model, self.tokenizer))
        return self._digests[0]

    def with_cache(self, cache: TreeCache) -> Self:
        """An engine for another tenant: the same model, which both wait for in one line, and another cache."""
        other = object.__new__(type(self))
        other.__dict__ |= self.__dict__
        other.cache = cache
        other._reader = TreeReader(self.model, cache, self._lock, self._fingerprint)
        other._answering = Answering(
            self.model, self.tokenizer, other._reader, self._lock, self._answering.allow_untrained
        )
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
            first = f"{found.skipped[0].path}: {found.skipped[0].reason}" if found.skipped else ""
            why = f"; {len(found.skipped)} files were skipped, the first: {first}" if first else ""
            raise DocumentError(f"there are no documents in {_shown(sources)}{why}; give files, folders or Documents")
        made = make_library(found.documents, self.tokenizer, self.model.method, found.skipped)
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

    def cached_tokens(self, library: Library) -> int:
        """How many tokens of a library the cache has complete trees of."""
        return self._reader.cached_tokens(self._known(library))

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
        prepared = self._prepared([question], [documents], options)
        return prepared.write([_ignore], cancelled or Event())[0].answer()

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
        prepared = [self._prepared(questions[group], per_question[group], options) for group in groups]
        event = cancelled or Event()
        return [row.answer() for part in prepared for row in part.write([_ignore] * len(part.prompts), event)]

    def stream(self, question: Question, documents: Documents = None, **options: Unpack[AnswerOptions]) -> AnswerStream:
        """As `ask`, piece by piece: an iterator of strings. When it ends, its `answer` is the whole answer.

        Wrong input raises here, not at the first piece.
        """
        prepared = self._prepared([question], [documents], options)
        return AnswerStream(lambda sink, cancelled: prepared.write([sink], cancelled)[0].answer())

    def past_context(self, question: str, documents: Documents) -> PastContext:
        """What a question retains of documents, as `SharedLLMForCausalLM.generate` takes it.

        Raises:
            InputError: there are no documents, or no question.
        """
        library = self._opened(documents)
        if library is None:
            raise InputError("there are no documents; give some")
        query_ids = self.tokenizer.encode(query_text(question)).ids
        read = self._reader.past_context(library, query_ids, Progress(), Event())
        assert read is not None, "nobody can cancel this"
        return read.past

    def inspect(self, question: Question, documents: Documents, **options: Unpack[AnswerOptions]) -> Inspection:
        """As `ask`; beside the answer, how finely each part of the documents was injected, and what drew attention.

        Raises:
            InputError: also when there are no documents.
        """
        if documents is None:
            raise InputError("there are no documents to inspect; give some")
        return self._prepared([question], [documents], options).write([_ignore], Event())[0].inspection()

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
            lambda sink, cancelled: (
                self._prepared([question], [documents], options).write([sink], cancelled)[0].answer()
            )
        )

    async def _in_thread(self, call: Callable[[Event], _T]) -> _T:
        cancelled = Event()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call, cancelled)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    # ---------------------------------------------------------------------------------------------- inside

    def _prepared(
        self, questions: Sequence[Question], documents: Sequence[Documents], options: AnswerOptions
    ) -> Prepared:
        """Check everything that can be wrong, before the model runs."""
        settings = AnswerSettings.of(options)
        return self._answering.prepare(questions, [self._opened(of) for of in documents], settings)

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


def _ignore(piece: str) -> None:
    pass


def _shown(sources: object) -> str:
    return f"{sources!r:.200}"
