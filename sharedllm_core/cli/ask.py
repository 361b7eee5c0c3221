"""`ask`: one question, or an interactive session without one."""

from typing import Annotated

import typer

from ..text.library import Library
from .engines import make_cache, make_engine
from .option_groups import takes_option_groups
from .option_values import check_question
from .options import CacheOptions, DocumentOptions, GenerationOptions, ModelOptions, PrintOptions
from .session import Session
from .sources import load_documents

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
    docs: Annotated[
        list[str] | None,
        typer.Option(
            "--docs",
            "-d",
            metavar="PATH",
            help="File, folder or glob to answer from; may be repeated. A glob goes in quotes, so that the shell "
            "leaves it alone.",
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
    found = load_documents(docs, documents) if docs else None
    engine = make_engine(model, make_cache(cache))
    library: Library | None = None if found is None else engine.library(found.documents)
    session = Session(engine, library, printing.as_json, {**generation.settings(), "progress": None})
    session.check(question or "?")
    if library is not None and not once:
        engine.read(library)
    if question is not None:
        session.answer(question, question, indent=2)
    else:
        session.run()
