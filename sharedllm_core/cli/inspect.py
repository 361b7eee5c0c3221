"""`inspect`: how finely each part of the documents was injected for a question, and what drew attention."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..engine.inspection import InspectedDocument, Inspection
from ..errors import SharedLLMError
from .engines import make_cache, make_engine
from .inspect_page import page
from .option_groups import takes_option_groups
from .option_values import check_question
from .options import CacheOptions, DocsArgument, DocumentOptions, GenerationOptions, ModelOptions, PrintOptions
from .output import answer_json, print_cut_off, print_evidence, print_json, say, visible
from .sources import load_documents

__all__ = ["inspect"]

# From coarse to fine: dim to bright. Deeper trees repeat the last.
_STYLES = ("grey50", "blue", "cyan", "bold yellow")
_EXCERPT = 60
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
    found = load_documents(docs, documents)
    engine = make_engine(model, make_cache(cache))
    library = engine.library(found.documents)
    settings = generation.settings()
    engine.stream(question, library, **settings).close()  # refuses what is wrong before documents are read
    engine.read(library)
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
        _print(seen)


def _json(question: str, seen: Inspection) -> dict[str, object]:
    return answer_json(question, seen.answer) | {
        "tree_depth": seen.tree_depth,
        "left_out_chunks": seen.left_out_chunks,
        "passages": [asdict(passage) for passage in seen.passages],
        "documents": [
            {"id": part.document.id, "nodes": [asdict(node) for node in part.nodes]} for part in seen.documents
        ],
    }


def _print(seen: Inspection) -> None:
    console = Console()
    for number, passage in enumerate(seen.passages, start=1):
        head = f"quoted [{number}] {passage.document_id}, characters {passage.start:,} to {passage.end:,}"
        console.print(Text(visible(head), style="bold"), soft_wrap=True)
        console.print(Text(visible(passage.text)), soft_wrap=True)
    for part in seen.documents:
        if part.nodes:
            console.print(Text(visible(part.document.id), style="bold"), soft_wrap=True)
            console.print(_table(part))
    if seen.left_out_chunks:
        console.print(f"{seen.left_out_chunks:,} chunks were left out (max_injected_states).", soft_wrap=True)
    if seen.answer.thoughts:
        console.print(Text("Thoughts: ", style="bold") + Text(visible(seen.answer.thoughts)), soft_wrap=True)
    console.print(Text("Answer: ", style="bold") + Text(visible(seen.answer.text)), soft_wrap=True)
    print_evidence(seen.answer)
    print_cut_off(seen.answer)


def _table(part: InspectedDocument) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("chunk", "level", "tokens", "states"):
        table.add_column(name, justify="right", style="dim", no_wrap=True, min_width=len(name))
    table.add_column("attention", no_wrap=True, min_width=9)
    table.add_column("text", no_wrap=True, overflow="ellipsis", ratio=1)
    largest = max((node.score for node in part.nodes), default=0.0) or 1.0
    for node in part.nodes:
        style = _STYLES[min(node.level, len(_STYLES) - 1)]
        excerpt = visible(" ".join(part.document.text[node.start : node.end].split()))
        table.add_row(
            str(node.chunk),
            Text(str(node.level), style=style),
            str(node.tokens),
            str(node.states),
            Text("█" * round(8 * node.score / largest), style="green"),
            Text(excerpt[:_EXCERPT] + ("…" if len(excerpt) > _EXCERPT else ""), style=style),
        )
    return table
