"""The table that `inspect` prints: the retained nodes of each document, and the answer."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..engine.inspection import InspectedDocument, Inspection
from .output import print_cut_off, print_evidence, visible

__all__ = ["print_inspection"]

# From coarse to fine: dim to bright. Deeper trees repeat the last.
_STYLES = ("grey50", "blue", "cyan", "bold yellow")
_EXCERPT = 60
_FULL_TABLE_COLUMNS = 60  # narrower terminals show level, attention and text, which say what was read finely


def print_inspection(seen: Inspection) -> None:
    """Print passages and retained nodes by document, then the answer with its evidence."""
    console = Console()
    for number, passage in enumerate(seen.passages, start=1):
        head = f"quoted [{number}] {passage.document_id}, characters {passage.start:,} to {passage.end:,}"
        console.print(Text(visible(head), style="bold"), soft_wrap=True)
        console.print(Text(visible(passage.text)), soft_wrap=True)
    for part in seen.documents:
        if part.nodes:
            console.print(Text(visible(part.document.id), style="bold"), soft_wrap=True)
            console.print(_table(part, console.width))
    if seen.left_out_chunks:
        console.print(f"{seen.left_out_chunks:,} chunks were left out (max_injected_states).", soft_wrap=True)
    if seen.answer.thoughts:
        console.print(Text("Thoughts: ", style="bold") + Text(visible(seen.answer.thoughts)), soft_wrap=True)
    console.print(Text("Answer: ", style="bold") + Text(visible(seen.answer.text)), soft_wrap=True)
    print_evidence(seen.answer)
    print_cut_off(seen.answer)


def _table(part: InspectedDocument, width: int) -> Table:
    names = ("chunk", "level", "tokens", "states") if width >= _FULL_TABLE_COLUMNS else ("level",)
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, justify="right", style="dim", no_wrap=True, min_width=len(name))
    table.add_column("attention", no_wrap=True, min_width=9)
    table.add_column("text", no_wrap=True, overflow="ellipsis", ratio=1)
    excerpt_width = min(_EXCERPT, width - sum(len(str(column.header)) + 1 for column in table.columns[:-1]))
    largest = max((node.score for node in part.nodes), default=0.0) or 1.0
    for node in part.nodes:
        style = _STYLES[min(node.level, len(_STYLES) - 1)]
        excerpt = visible(" ".join(part.document.text[node.start : node.end].split()))
        table.add_row(
            *(Text(str(getattr(node, name)), style=style if name == "level" else "") for name in names),
            Text("█" * round(8 * node.score / largest), style="green"),
            Text(excerpt if len(excerpt) <= excerpt_width else f"{excerpt[: excerpt_width - 1]}…", style=style),
        )
    return table
