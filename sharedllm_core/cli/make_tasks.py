"""`make-tasks`: write look-up tasks as JSON lines."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ..errors import TokenizerError
from .interrupts import loading_libraries
from .option_groups import takes_option_groups
from .options import PrintOptions
from .output import print_json, say

__all__ = ["make_tasks"]


@takes_option_groups()
def make_tasks(
    file: Annotated[
        Path, typer.Argument(dir_okay=False, metavar="FILE", help="To write; one that is there is replaced.")
    ],
    count: Annotated[int, typer.Option(min=1, metavar="N", help="How many tasks.")] = 1_000,
    length: Annotated[
        int, typer.Option(metavar="N", help="Of a set of documents: characters, or tokens with --tokenizer.")
    ] = 32_000,
    tokenizer: Annotated[
        str | None, typer.Option(metavar="NAME", help="Folder or hub id of a model, whose tokens are counted.")
    ] = None,
    texts: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Texts to place facts in, JSON lines with `text`, .xz or not; may be repeated. By default plain "
            "sentences.",
        ),
    ] = None,
    form: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A form of task; may be repeated. By default all.")
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A kind of fact; may be repeated. By default all.")
    ] = None,
    split: Annotated[
        str, typer.Option(metavar="NAME", help="train, or held_out: what training never shows.")
    ] = "train",
    held_out: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of held_out: phrasing or kind; by default half of each.")
    ] = None,
    questions_per_set: Annotated[int, typer.Option(metavar="N", help="Tasks over one set of documents.")] = 1,
    start: Annotated[int, typer.Option(min=0, metavar="N", help="The first task of the stream to write.")] = 0,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same seed gives the same bytes.")] = 0,
    *,
    printing: PrintOptions,
) -> None:
    """Write look-up tasks as JSON lines.

    Each has its documents, question, answer and evidence, to train on or to measure with.
    """
    with loading_libraries():
        from ..training.tasks import FORMS, TaskSettings, read_texts, write_tasks

    found = read_texts(texts) if texts else None
    settings = TaskSettings(
        length=length,
        forms=tuple(form or FORMS),
        kinds=tuple(kind) if kind else None,
        split=split,  # type: ignore[arg-type]
        held_out=held_out,  # type: ignore[arg-type]
        questions_per_set=questions_per_set,
        count_tokens=_counter(tokenizer) if tokenizer else None,
    )
    write_tasks(file, found, settings, seed, count, start=start)
    if printing.as_json:
        print_json({"file": str(file), "tasks": count, "bytes": file.stat().st_size})
    else:
        say(f"{count:,} tasks are in {file}")


def _counter(name: str) -> Callable[[str], int]:
    with loading_libraries():
        from transformers import AutoTokenizer

        from ..text.tokenization import TextTokenizer

    try:
        return TextTokenizer(AutoTokenizer.from_pretrained(name)).count
    except (OSError, ValueError, KeyError) as error:
        why = str(error).splitlines()[0]
        raise TokenizerError(
            f"no tokenizer was found at {name} ({why})", remedy="give the folder or hub id of a model"
        ) from error
