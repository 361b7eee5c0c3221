"""`train`: train an injection as a YAML file says."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from .interrupts import kept_on_interrupt, loading_libraries
from .option_groups import takes_option_groups
from .options import PrintOptions
from .output import print_json, say

__all__ = ["train"]


@takes_option_groups()
def train(
    config: Annotated[Path, typer.Argument(help="A YAML file; see docs/guides/training.md for its fields.")],
    output: Annotated[str | None, typer.Option(help="Another folder than the file's.")] = None,
    steps: Annotated[int | None, typer.Option(help="Another number of steps than the file's.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew; checkpoints that are there are deleted.")] = False,
    *,
    printing: PrintOptions,
) -> None:
    """Train an injection for a base model, or go on with one. A run that was stopped goes on from its last checkpoint.

    On several GPUs: accelerate launch -m sharedllm_core train CONFIG.
    """
    with loading_libraries():
        from ..training.config import TrainingConfig
        from ..training.run import leave_processes
        from ..training.run import train as run

    read = TrainingConfig.from_file(config)
    changes = {name: value for name, value in (("output", output), ("steps", steps)) if value is not None}
    changed = replace(read, **changes)  # type: ignore[arg-type]
    with kept_on_interrupt(lambda: f"checkpoints are in {changed.output}; the same command goes on from the last"):
        model = run(changed, resume=not fresh)
    if not leave_processes():
        return
    if printing.as_json:
        print_json({"model": str(model)})
    else:
        say(f"the model is in {model}; ask it: sharedllm ask … --model {model}")
