"""`SharedLLMEngine`: text in, text out. Joins the model, the tree cache and text."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, Literal, Self, Unpack

from transformers import PreTrainedTokenizerBase

from ..errors import InputError, setting
from ..generation.answer import Answer
from ..generation.prompting import query_text
from ..generation.settings import AnswerOptions, AnswerSettings
from ..method.config import SharedLLMConfig
from ..model.modeling import SharedLLMForCausalLM
from ..model.past_context import PastContext
from ..text.documents.reading import MAX_FILE_BYTES, Source
from ..text.library import Library
from ..text.tokenization import TextTokenizer
from ..tree_cache import TreeCache
from .answering import Answering, Prepared, Question
from .async_forms import AsyncForms
from .inspection import Inspection
from .libraries import Documents, LibraryMaker
from .lifetime import Lifetime
from .loading import load_model, load_tokenizer
from .progress import Progress
from .reading import TreeReader
from .shared_model import SharedModel
from .streaming import AnswerStream

__all__ = ["Documents", "Question", "SharedLLMEngine"]

_BATCH_ROWS = 8


class SharedLLMEngine(AsyncForms):
    """Reads documents once and answers questions from them.

    All methods may be called from any number of threads. The model serves them in the order in which they came; an
    `async` form never blocks the event loop. The method (policy, compression …) is fixed: `with_policy` makes another
    engine on the same weights. Close the engine, or use it in a `with` block, to end its threads.

    Args:
        model: set to evaluation mode. The engine answers with a view of it that shares its weights; later changes of
            the model's method do not reach the engine.
        tokenizer: the base model's, a fast one.
        cache: where trees are kept; by default memory and the user's cache folder.
        allow_untrained: answer also with an injection that was never trained, which ignores the documents.
        shared: what engines on the same weights share; from another engine.

    Raises:
        TokenizerError: a tokenizer without character offsets.
    """

    def __init__(
        self,
        model: SharedLLMForCausalLM,
        tokenizer: PreTrainedTokenizerBase | TextTokenizer,
        *,
        cache: TreeCache | None = None,
        allow_untrained: bool = False,
        shared: SharedModel | None = None,
    ) -> None:
        model.eval()
        self.model = model.frozen()
        self.tokenizer = tokenizer if isinstance(tokenizer, TextTokenizer) else TextTokenizer(tokenizer)
        self.cache = TreeCache.default() if cache is None else cache
        self.allow_untrained = allow_untrained
        self._shared = SharedModel(self.model) if shared is None else shared
        self._libraries = LibraryMaker(self.tokenizer, model.method)
        self._lock = lock = self._shared.lock
        self._reader = TreeReader(self.model.lower_model, self.cache, lock, self._shared.lower_fingerprint)
        self._answering = Answering(self.model, self.tokenizer, self._reader, lock, allow_untrained)
        self._lifetime = Lifetime()

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
    def method(self) -> SharedLLMConfig:
        """The numbers of the method that this engine reads and answers with."""
        return self.model.method

    @property
    def fingerprint(self) -> str:
        """A hash of the weights that read documents: the same for engines that share trees."""
        return self._shared.lower_fingerprint

    @property
    def answer_fingerprint(self) -> str:
        """A hash of what decides about answers: all weights, the method with its policy, and the tokenizer.

        Caches of answers must key on it. Computed at first use, when every weight is read, so not on an event loop.
        """
        return self._shared.answer_fingerprint(self.model, self.tokenizer)

    def with_cache(self, cache: TreeCache) -> Self:
        """An engine with another cache, for another tenant. Both share the model, and wait for it in one queue."""
        return self._with(self.model, cache)

    def with_policy(self, policy: str) -> Self:
        """An engine that selects by another policy. Both share the model, and wait for it in one queue.

        A policy that cannot compare nodes of different chunks retains one path of each chunk (scope `"chunk"`).

        Raises:
            ConfigError: there is no such policy.
        """
        return self._with(self.model.with_method(self.method.with_policy(policy)), self.cache)

    def _with(self, model: SharedLLMForCausalLM, cache: TreeCache) -> Self:
        return type(self)(model, self.tokenizer, cache=cache, allow_untrained=self.allow_untrained, shared=self._shared)

    # ---------------------------------------------------------------------------------------------- closing

    def close(self) -> None:
        """Cancel what still runs, and end the engine's threads. Engines that share the model go on; so does the cache.

        A closed engine refuses questions and documents. Closing it again does nothing.
        """
        self._lifetime.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

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
        self._lifetime.check_open()
        return self._libraries.load(sources, on_error, max_file_bytes)

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
        self._lifetime.check_open()
        library = self._libraries.checked(sources) if isinstance(sources, Library) else None
        library = library or self.library(sources, on_error=on_error, max_file_bytes=max_file_bytes)
        with Progress(progress) as shown:
            self._reader.read(library, shown, self._lifetime.cancellation(cancelled))
        return library

    def cached_tokens(self, library: Library) -> int:
        """How many tokens of a library the cache has complete trees of."""
        return self._reader.cached_tokens(self._libraries.checked(library))

    def forget(self, documents: Library | Source | Iterable[Source]) -> int:
        """Delete the trees of documents from every tier of the cache; how many trees there were.

        Where another document has an equal chunk, that one's tree goes too, and is made again when it is needed.
        """
        library = self._libraries.checked(documents) if isinstance(documents, Library) else self.library(documents)
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
        event = self._lifetime.cancellation(cancelled)
        return self._prepared([question], [documents], options).write([_ignore], event)[0].answer()

    def ask_batch(
        self,
        questions: Sequence[Question],
        documents: Documents = None,
        *,
        libraries: Sequence[Library | None] | None = None,
        batch_size: int = _BATCH_ROWS,
        cancelled: Event | None = None,
        **options: Unpack[AnswerOptions],
    ) -> list[Answer]:
        """Answer several questions in batches; each as it would be answered alone.

        Args:
            questions: as for `ask`.
            documents: for all questions, as for `ask`.
            libraries: one library, or `None`, for each question, instead of `documents`.
            batch_size: how many to generate at once.
            cancelled, options: as for `ask`.

        Raises:
            InputError: also for both `documents` and `libraries`, or a wrong number of libraries.
        """
        if isinstance(questions, str):
            raise InputError("questions is one string", remedy="give a list of questions")
        if batch_size < 1:
            raise InputError(f"{setting('batch_size', batch_size)} is not allowed", remedy="give at least 1")
        if libraries is not None and documents is not None:
            raise InputError("documents and libraries are both given", remedy="give one of them")
        of_each = [self._opened(documents)] * len(questions) if libraries is None else list(libraries)
        if len(of_each) != len(questions):
            raise InputError(
                f"{len(of_each)} libraries for {len(questions)} questions",
                remedy="give one for each question, or one library for all as documents",
            )
        groups = [slice(first, first + batch_size) for first in range(0, len(questions), batch_size)]
        prepared = [self._prepared(questions[group], of_each[group], options) for group in groups]
        event = self._lifetime.cancellation(cancelled)
        return [row.answer() for part in prepared for row in part.write([_ignore] * len(part.prompts), event)]

    def stream(self, question: Question, documents: Documents = None, **options: Unpack[AnswerOptions]) -> AnswerStream:
        """As `ask`, piece by piece: an iterator of strings. When it ends, its `answer` is the whole answer.

        Wrong input raises here, not at the first piece.
        """
        prepared = self._prepared([question], [documents], options)
        stream = AnswerStream(lambda sink, cancelled: prepared.write([sink], cancelled)[0].answer())
        self._lifetime.add(stream)
        return stream

    def past_context(self, question: Question, documents: Documents) -> PastContext:
        """What a question retains of documents, as `SharedLLMForCausalLM.generate` takes it.

        Args:
            question: a string, or messages of which the last question counts.
            documents: as for `ask`.

        Raises:
            InputError: there are no documents, or no question.
        """
        library = self._opened(documents)
        if library is None:
            raise InputError(
                "there are no documents",
                remedy="give some",
            )
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
            raise InputError("there are no documents to inspect", remedy="give some")
        event = self._lifetime.cancellation(None)
        return self._prepared([question], [documents], options).write([_ignore], event)[0].inspection()

    # ---------------------------------------------------------------------------------------------- inside

    def _prepared(
        self, questions: Sequence[Question], documents: Sequence[Documents], options: AnswerOptions
    ) -> Prepared:
        """Check everything that can be wrong, before the model runs."""
        return self._answering.prepare(
            questions, [self._opened(one) for one in documents], AnswerSettings.from_options(options)
        )

    def _opened(self, documents: Documents) -> Library | None:
        self._lifetime.check_open()
        return self._libraries.open(documents, MAX_FILE_BYTES)


def _ignore(piece: str) -> None:
    pass
