"""Make the libraries of an engine: load documents, tokenise them and cut them into chunks. No model runs."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from ..errors import DocumentError, InputError
from ..method.config import SharedLLMConfig
from ..text.documents import Document, read_documents
from ..text.documents.file_text import warn_of_losses
from ..text.documents.reading import Source
from ..text.library import Library, make_library
from ..text.tokenization import TextTokenizer
from .progress import FileProgress

__all__ = ["Documents", "LibraryMaker"]

#: The documents of a question: a library, or paths, globs and `Document`s to load; `None` for none.
Documents = Library | Source | Iterable[Source] | None


class LibraryMaker:
    """Makes and validates the libraries of one tokenizer and one method.

    Args:
        tokenizer: the model's tokenizer.
        method: sets the chunk size and where documents are cut.
    """

    def __init__(self, tokenizer: TextTokenizer, method: SharedLLMConfig) -> None:
        self._tokenizer = tokenizer
        self._method = method

    def load(
        self,
        sources: Source | Iterable[Source],
        on_error: Literal["raise", "skip"],
        max_file_bytes: int,
        progress: bool | None = False,
    ) -> Library:
        """Load and tokenise documents.

        Args:
            sources, on_error, max_file_bytes: see `read_documents`.
            progress: show a bar of the files on stderr; `None` if it is a terminal.

        Raises:
            DocumentError: a path that does not exist, a file that cannot be read, or no text at all.
        """
        with FileProgress(progress) as shown:
            found = read_documents(sources, on_error=on_error, max_file_bytes=max_file_bytes, progress=shown)
        if not found.documents:
            first = f"{found.skipped[0].path}: {found.skipped[0].reason}" if found.skipped else ""
            why = f"; {len(found.skipped)} files were skipped, the first: {first}" if first else ""
            raise DocumentError(
                f"there are no documents in {sources!r:.200}{why}", remedy="give files, folders or Documents"
            )
        warn_of_losses(found.warnings)
        library = make_library(found.documents, self._tokenizer, self._method, found.skipped, found.warnings)
        if not library.num_tokens:
            raise DocumentError(f"the {len(library)} documents hold no text", remedy="give some that do")
        return library

    def open(self, documents: Documents, max_file_bytes: int) -> Library | None:
        """Return the library for a question: validate a given one, or load the sources.

        Raises:
            InputError: a library of another engine, or several libraries.
            DocumentError: see `load`.
        """
        if documents is None:
            return None
        if isinstance(documents, Library):
            return self.checked(documents)
        sources = documents if isinstance(documents, str | Path | Document) else list(documents)
        if isinstance(sources, list) and any(isinstance(source, Library) for source in sources):
            raise InputError(
                "documents is a list with libraries in it",
                remedy="give one library, or paths and Documents; ask_batch takes one library for each question as "
                "libraries=[…]",
            )
        return self.load(sources, "raise", max_file_bytes)

    def checked(self, library: Library) -> Library:
        """Return `library` if it was made with the same tokenizer and chunk size.

        Raises:
            InputError: it was made with others.
        """
        own = (self._tokenizer.fingerprint, self._method.chunk_tokens)
        if (library.tokenizer, library.chunk_tokens) != own:
            raise InputError(
                f"the library was made by an engine with another tokenizer or chunk_tokens={library.chunk_tokens} "
                f"(this one has {own[1]})",
                remedy="read its documents with this engine: engine.read(library.documents)",
            )
        return library
