"""`SharedLLMEngine`: text in, text out. Combines the model, the tree cache, documents and generation."""

from collections.abc import Iterable, Sequence
from threading import Event
from typing import Literal, Unpack

from ..errors import InputError, setting
from ..generation.answer import Answer
from ..generation.messages import query_text
from ..generation.prompting import PromptSize
from ..generation.settings import AnswerOptions, AnswerSettings
from ..method.checks import check_whole
from ..model.past_context import PastContext
from ..text.documents.reading import MAX_FILE_BYTES, Source
from ..text.library import Library
from ..text.passages import Passage, find_passages
from .answering import PreparedQuestions, Question
from .async_forms import AsyncForms
from .base import BaseEngine
from .inspection import Inspection
from .libraries import Documents
from .progress import Progress
from .streaming import AnswerStream

__all__ = ["Documents", "Question", "SharedLLMEngine"]

_BATCH_ROWS = 8


class SharedLLMEngine(BaseEngine, AsyncForms):
    """Encode documents once, and answer questions from them.

    All methods are thread-safe. Calls share one model in first-come, first-served order; the async methods never block
    the event loop. The method (policy, compression …) is fixed: `with_policy` makes another engine on the same weights.
    Close the engine, or use it in a `with` block, to end its threads.

    Args:
        model: put into evaluation mode. The engine uses a view of it that shares its weights, so later changes of the
            model's method do not affect the engine.
        tokenizer: the base model's fast tokenizer.
        cache: stores the context trees; by default in memory and in the user's cache folder.
        allow_untrained: inject even with an injection that was never trained, which ignores the documents.
        reading: `"quoted"` (the best passages, word for word, in the window: any model), `"injected"` (everything,
            compressed: a trained injection) or `"both"`; by default what the model can do.
        quote_tokens: the most tokens of passages; by default the method's `quote_tokens`, or 4,096. Where the messages
            and the answer leave less of the window, less is quoted (`Answer.reading.quote_budget`).
        quote_template: a Jinja template for the message that is answered, with the variables `passages` (each with
            `number`, `title`, `text`) and `question`; by default numbered passages and then the question.
        thinking: whether a reasoning model thinks before it answers, unless a question sets it; by default as its chat
            template has it.
        embedding: searches passages by meaning beside the words: a function from texts to vectors, LangChain's
            `Embeddings` or LlamaIndex's `BaseEmbedding`.
        kept_prompt_bytes: the most bytes of the newest prompts' keys and values that are kept, so that of a prompt that
            begins alike only the rest is read; 0 to keep none. Prompts with injected documents are not kept.
        shared: the lock, the decoder and the weights' hashes of another engine on the same weights.

    Raises:
        TokenizerError: the tokenizer gives no character offsets.
        InputError: thinking that the model does not support.
        WindowError: `quote_tokens` is more than the window.
    """

    # ---------------------------------------------------------------------------------------------- documents

    def library(
        self,
        sources: Source | Iterable[Source],
        *,
        on_error: Literal["raise", "skip"] = "raise",
        max_file_bytes: int = MAX_FILE_BYTES,
    ) -> Library:
        """Load and tokenise documents without running the model: each question then encodes only what it retains.

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
        """Read documents ahead of any question: encode them and store their trees in the cache, or index their words.

        An engine that injects runs the lower model; one that quotes runs no model and stores nothing.

        Args:
            sources: paths, globs and `Document`s. A string is a path or a glob, never text.
            on_error: `"skip"` skips files that cannot be read and lists them in `library.skipped`.
            max_file_bytes: larger files are an error.
            progress: show progress bars on stderr, of files and of tokens; by default if stderr is a terminal.
            cancelled: set it from another thread to stop reading. Trees already encoded stay in the cache.

        Raises:
            DocumentError: a path that does not exist, a file that cannot be read, or no text at all.
        """
        self._lifetime.check_open()
        if isinstance(sources, Library):
            library = self._libraries.checked(sources)
        else:
            library = self._libraries.load(sources, on_error, max_file_bytes, progress)
        if self.reading != "injected":
            _ = library.word_index  # built now, so that questions need not wait
            if self._embedder is not None:
                self._embedder.index(library)
        if self._reader is not None:
            with Progress(progress) as shown:
                self._reader.read(library, shown, self._lifetime.cancellation(cancelled))
        return library

    def cached_tokens(self, library: Library) -> int:
        """Count the tokens of a library whose chunks have complete trees in the cache; 0 if it only quotes."""
        library = self._libraries.checked(library)
        return 0 if self._reader is None else self._reader.cached_tokens(library)

    def forget(self, documents: Library | Source | Iterable[Source]) -> int:
        """Delete the trees of documents from every tier of the cache.

        Equal chunks of other documents share these trees; they are encoded again when needed.

        Returns:
            The number of trees deleted.
        """
        library = self._libraries.checked(documents) if isinstance(documents, Library) else self.library(documents)
        return 0 if self._reader is None else self.cache.forget(list(dict.fromkeys(self._reader.keys(library))))

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
            question: a string, or messages of which the last one is answered. Turns that do not fit the window are
                encoded as past context and listed in `Answer.moved`.
            documents: a library from `read` or `library`, or sources to load. Of chunks that are not in the cache, only
                the nodes that this question retains are encoded: the fastest way to a single answer.
            cancelled: set it from another thread to stop within one token.
            options: see `AnswerSettings`.

        Raises:
            InputError: no question, or a setting out of range.
            WindowError: the last turn alone is longer than the window, or `quote_tokens` do not fit beside the answer.
            DocumentError: see `read`.
            UntrainedInjectionError: the model would ignore the documents.
        """
        event = self._lifetime.cancellation(cancelled)
        return self._prepare([question], [documents], options).generate([_ignore], event)[0].answer()

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
        """Answer several questions in batches; each answer is the same as from `ask`.

        Args:
            questions: as for `ask`.
            documents: shared by all questions, as for `ask`.
            libraries: one library, or `None`, per question, instead of `documents`.
            batch_size: questions generated together; the few families of models that cannot ignore padding generate
                one after another.
            cancelled, options: as for `ask`.

        Raises:
            InputError: as for `ask`; also if both `documents` and `libraries` are given, or the number of libraries is
                not that of the questions.
        """
        if isinstance(questions, str):
            raise InputError("questions is one string", remedy="give a list of questions")
        if batch_size < 1:
            raise InputError(f"{setting('batch_size', batch_size)} is not allowed", remedy="give at least 1")
        if libraries is not None and documents is not None:
            raise InputError("documents and libraries are both given", remedy="give one of them")
        libraries = [self._open_library(documents)] * len(questions) if libraries is None else list(libraries)
        if len(libraries) != len(questions):
            raise InputError(
                f"{len(libraries)} libraries for {len(questions)} questions",
                remedy="give one for each question, or one library for all as documents",
            )
        groups = [slice(first, first + batch_size) for first in range(0, len(questions), batch_size)]
        batches = [self._prepare(questions[group], libraries[group], options) for group in groups]
        event = self._lifetime.cancellation(cancelled)
        return [row.answer() for batch in batches for row in batch.generate([_ignore] * len(batch.prompts), event)]

    def stream(self, question: Question, documents: Documents = None, **options: Unpack[AnswerOptions]) -> AnswerStream:
        """Answer as `ask` does, as an iterator of text pieces. Its `answer` is the whole answer once it has ended.

        `AnswerStream.pieces` gives the pieces of the thoughts as well.

        Invalid input raises here, not at the first piece.
        """
        prepared = self._prepare([question], [documents], options)
        stream = AnswerStream(lambda sink, cancelled: prepared.generate([sink], cancelled)[0].answer())
        self._lifetime.add(stream)
        return stream

    def past_context(self, question: Question, documents: Documents) -> PastContext:
        """Encode the past context that a question retains of documents, for `SharedLLMForCausalLM.generate`.

        Args:
            question: a string, or messages of which the last question is used.
            documents: as for `ask`.

        Raises:
            InputError: there are no documents, or no question.
        """
        library = self._require_library(documents)
        if self._reader is None:
            raise InputError(
                "this engine quotes passages and encodes no past context",
                remedy="use engine.passages, or a model with a trained injection",
            )
        text = query_text(question)
        query_ids = self.tokenizer.encode(text).ids
        read = self._reader.past_context(library, text, query_ids, Progress(), Event())
        assert read is not None, "the event is never set"
        return read.past

    def prompt_size(self, question: Question, **options: Unpack[AnswerOptions]) -> PromptSize:
        """Count the tokens of a question as running text, and what the window holds beside the answer.

        Where it does not fit, `ask` moves the oldest turns to the past context, and refuses a last turn that is longer
        than the window.

        Args:
            question: a string, or messages of which the last one is answered.
            options: see `AnswerSettings`.

        Raises:
            InputError: no question, or a setting out of range.
        """
        self._lifetime.check_open()
        return self._answering.prompt_size(question, AnswerSettings.from_options(options))

    def passages(self, question: Question, documents: Documents, *, max_tokens: int | None = None) -> list[Passage]:
        """Find the passages that would be quoted for a question, without running the model.

        Args:
            question: a string, or messages of which the last question is used.
            documents: as for `ask`.
            max_tokens: the most tokens of all passages together; by default the engine's `quote_tokens`.

        Returns:
            In the order of the documents and of their text; exact parts of the documents that do not overlap.

        Raises:
            InputError: there are no documents, or no question.
        """
        if max_tokens is not None:
            check_whole("max_tokens", max_tokens, at_least=1, error=InputError)
        library = self._require_library(documents)
        budget = max_tokens or self._answering.quote_tokens
        return find_passages(query_text(question), library, self.tokenizer, budget, self._embedder)

    def inspect(self, question: Question, documents: Documents, **options: Unpack[AnswerOptions]) -> Inspection:
        """Answer as `ask` does, and report the retained nodes of every document with their share of the attention.

        Raises:
            InputError: as for `ask`, or there are no documents.
        """
        if documents is None:
            raise InputError("there are no documents to inspect", remedy="give some")
        event = self._lifetime.cancellation(None)
        return self._prepare([question], [documents], options).generate([_ignore], event)[0].inspection()

    # ---------------------------------------------------------------------------------------------- internal

    def _prepare(
        self, questions: Sequence[Question], documents: Sequence[Documents], options: AnswerOptions
    ) -> PreparedQuestions:
        """Load the documents and validate all input before the model runs."""
        libraries = [self._open_library(sources) for sources in documents]
        return self._answering.prepare(questions, libraries, AnswerSettings.from_options(options))

    def _require_library(self, documents: Documents) -> Library:
        library = self._open_library(documents)
        if library is None:
            raise InputError("there are no documents", remedy="give some")
        return library

    def _open_library(self, documents: Documents) -> Library | None:
        self._lifetime.check_open()
        return self._libraries.open(documents, MAX_FILE_BYTES)


def _ignore(piece: str) -> None:
    pass
