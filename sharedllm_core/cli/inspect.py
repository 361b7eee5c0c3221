"""`inspect`: how finely each part of the documents was injected for a question, and what drew attention."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import SharedLLMError
from .interrupts import loading_libraries
from .option_groups import takes_option_groups
from .option_values import check_question
from .options import CacheOptions, DocsArgument, DocumentOptions, GenerationOptions, ModelOptions, PrintOptions
from .output import answer_json, print_json, say

if TYPE_CHECKING:
    from ..engine.inspection import Inspection

__all__ = ["inspect"]

_GENERATION = GenerationOptions(evidence=5, temperature=0)


@takes_option_groups(omit=["temperature", "top_p", "top_k", "repetition_penalty", "seed", "stop"])
def inspect(
    docs: DocsArgument,
    question: Annotated[
        str,
        typer.Option("--question", "-q", metavar="TEXT", callback=check_question, help="The question to inspect for."),
    ],
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help="Write the whole text, coloured, as one page of HTML that needs nothing else, instead of the table.",
        ),
    ] = None,
    *,
    generation: GenerationOptions = _GENERATION,
    model: ModelOptions,
    documents: DocumentOptions,
    cache: CacheOptions,
    printing: PrintOptions,
) -> None:
    """Show which parts of documents a question drew on.

    For each retained node: its chunk, its level in the context tree (the deeper, the finer), how many tokens became
    how many states, its attention, and its text. Then the answer, written greedily, with its evidence.
    """
    if html is not None and not html.absolute().parent.is_dir():
        raise typer.BadParameter(f"the folder of {html} does not exist; make it, or give another", param_hint="--html")
    with loading_libraries():
        from .sources import load_documents
    found = load_documents(docs, documents)
    with loading_libraries():
        from .engines import make_cache, make_engine, read_library
        from .inspect_page import page
        from .inspect_table import print_inspection
    engine = make_engine(model, make_cache(cache))
    library = engine.library(found.documents)
    settings = generation.settings()
    engine.stream(question, library, **settings).close()  # refuses what is wrong before documents are read
    read_library(engine, library)
    seen = engine.inspect(question, library, **settings)
    if html is not None:
        try:
            html.write_text(page(question, seen), encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise SharedLLMError(f"{html} cannot be written: {error.strerror}", remedy="give another --html") from error
        say(f"written to {html}")
    if printing.as_json:
        print_json(_json(question, seen))
    elif html is None:
        print_inspection(seen)


def _json(question: str, seen: "Inspection") -> dict[str, object]:
    return answer_json(question, seen.answer) | {
        "tree_depth": seen.tree_depth,
        "left_out_chunks": seen.left_out_chunks,
        "passages": [asdict(passage) for passage in seen.passages],
        "documents": [
            {"id": part.document.id, "nodes": [asdict(node) for node in part.nodes]} for part in seen.documents
        ],
    }
