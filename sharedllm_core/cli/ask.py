"""`ask`: one question, or an interactive session without one."""

from pathlib import Path
from typing import Annotated

import typer

from .interrupts import loading_libraries
from .option_groups import takes_option_groups
from .option_values import check_question
from .options import STANDARD_INPUT, CacheOptions, DocumentOptions, GenerationOptions, ModelOptions, PrintOptions

__all__ = ["ask"]


@takes_option_groups()
def ask(
    question: Annotated[
        str | None,
        typer.Argument(
            metavar="QUESTION",
            callback=check_question,
            help="The question, in quotes; without one, questions are read from the terminal, or one a line from a "
            "pipe, each with those before it.",
        ),
    ] = None,
    documents_after: Annotated[
        list[str] | None,
        typer.Argument(metavar="DOCS", help="Files, folders or globs to answer from, like --docs."),
    ] = None,
    docs: Annotated[
        list[str] | None,
        typer.Option(
            "--docs",
            "-d",
            metavar="PATH",
            help="File, folder or glob to answer from, or - for standard input; may be repeated. A glob goes in "
            "quotes, so that the shell leaves it alone.",
        ),
    ] = None,
    once: Annotated[
        bool,
        typer.Option("--once", help="Read of new documents only what this question needs: three times sooner, once."),
    ] = False,
    *,
    generation: GenerationOptions,
    model: ModelOptions,
    documents: DocumentOptions,
    cache: CacheOptions,
    printing: PrintOptions,
) -> None:
    """Answer from documents, and show the evidence.

    Documents are compressed once and kept in the tree cache: the next question, in this process or another, does not
    read them again.

    With --json, one question gives one object, and a session one object a line.
    """
    paths = [*(docs or ()), *(documents_after or ())]
    _check_arguments(question, paths)
    with loading_libraries():
        from .sources import load_documents
    found = load_documents(paths, documents) if paths else None
    with loading_libraries():
        from .engines import make_cache, make_engine, read_library
        from .session import Session
    engine = make_engine(model, make_cache(cache, in_memory=_keeps_in_memory(question, cache)))
    library = None if found is None else engine.library(found.documents)
    session = Session(engine, library, printing.as_json, {**generation.settings(), "progress": None})
    session.check(question or "?")
    if library is not None and not once:
        read_library(engine, library)
    if question is not None:
        session.answer(question, question, indent=2)
    else:
        session.run()


def _keeps_in_memory(question: str | None, cache: CacheOptions) -> bool:
    """Whether trees are kept in memory too: for several questions, or where there is no other place."""
    return question is None or not (cache.cache_bytes or cache.remote)


def _check_arguments(question: str | None, paths: list[str]) -> None:
    """Refuse a path in place of the question, and standard input as both document and questions."""
    if question is not None and _exists(question):
        raise typer.BadParameter(
            f"{question} is a file or folder; give the question first, then documents, or documents alone with --docs",
            param_hint="QUESTION",
        )
    if question is None and STANDARD_INPUT in paths:
        raise typer.BadParameter(
            "there is none, and standard input is the document; give the question as an argument",
            param_hint="QUESTION",
        )


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # too long for a path, or with a null character
        return False
