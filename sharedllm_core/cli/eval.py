"""`eval`: measure a model, and others on the same base weights beside it."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from .interrupts import kept_on_interrupt, loading_libraries
from .option_groups import takes_option_groups
from .option_values import parse_names, parse_numbers
from .options import ModelOptions, PrintOptions, ReportOptions
from .output import print_json, say

__all__ = ["evaluate"]

_SYSTEMS = ["sharedllm", "window_only"]
_QUICK: dict[str, Any] = {
    "lengths": (1_024, 2_048),
    "items": 2,
    "questions_per_item": 2,
    "target_tokens": 128,
    "depths": (0.0, 0.5, 1.0),
}
_CACHE_BYTES = 8 * 10**9

Names = list[str] | None
Files = list[Path] | None


@dataclass(frozen=True)
class MeasurementOptions:
    """What is measured, of which systems, at which sizes."""

    measurements: Annotated[
        Names,
        typer.Option(metavar="NAMES", help="With commas between, or repeated; by default all that the files allow."),
    ] = None
    systems: Annotated[Names, typer.Option(metavar="NAMES", help="Likewise; by default sharedllm,window_only.")] = None
    lengths: Annotated[Names, typer.Option(metavar="TOKENS", help="Likewise; by default 4096 to 131072, doubling.")] = (
        None
    )
    items: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Sets of documents per cell, or rows per file; by default 20."),
    ] = None
    forms: Annotated[
        Names, typer.Option(metavar="NAMES", help="Of look-ups and leaf recall, such as single,two_hop; likewise.")
    ] = None
    questions: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="About one set of documents; by default 4.")
    ] = None
    budget: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="TOKENS",
            help="Of documents in the window: of window_only, bm25, bm25_passages, and what sharedllm quotes.",
        ),
    ] = None
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same seed and files give the same items.")] = 0

    def settings(self, quick: bool) -> dict[str, Any]:
        """The same as arguments of `EvaluationSettings`; explicit sizes override those of --quick."""
        sizes: dict[str, Any] = dict(_QUICK) if quick else {}
        if self.lengths is not None:
            sizes["lengths"] = parse_numbers("lengths", self.lengths)
        if self.items is not None:
            sizes["items"] = self.items
        if self.questions is not None:
            sizes["questions_per_item"] = self.questions
        return sizes | {"seed": self.seed, "forms": tuple(dict.fromkeys(parse_names(self.forms or [])))}


@dataclass(frozen=True)
class FileOptions:
    """Files that measurements need."""

    texts: Annotated[
        Files, typer.Option(metavar="FILE", help="Long texts, JSON lines with `text`, .xz or not; may be repeated.")
    ] = None
    squad: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Articles of SQuAD, JSON lines with title and paragraphs.")
    ] = None
    qa: Annotated[
        Files,
        typer.Option(
            metavar="FILE",
            help="Sets of documents with questions, or articles of SQuAD, JSON lines; may be repeated.",
        ),
    ] = None
    join_sets: Annotated[
        bool, typer.Option("--join-sets", help="Ask about the documents of all lines of a file of --qa together.")
    ] = False
    longbench: Annotated[Files, typer.Option(metavar="FILE", help="A file of LongBench; may be repeated.")] = None
    infinitebench: Annotated[
        Files, typer.Option(metavar="FILE", help="A file of InfiniteBench, named after its task; may be repeated.")
    ] = None

    def files(self) -> dict[str, Any]:
        """The files by the name of the input, as arguments of `EvaluationSettings`."""
        return {
            "texts": tuple(self.texts or ()),
            "squad": self.squad,
            "qa": tuple(self.qa or ()),
            "longbench": tuple(self.longbench or ()),
            "infinitebench": tuple(self.infinitebench or ()),
        }


@takes_option_groups()
def evaluate(
    out: Annotated[Path, typer.Option(metavar="FOLDER", file_okay=False, help="Where results go, or go on.")],
    *,
    measurement: MeasurementOptions,
    files: FileOptions,
    report: ReportOptions,
    model: ModelOptions,
    printing: PrintOptions,
) -> None:
    """Measure a model, and others on the same base weights beside it.

    Measurements: perplexity, needle, lookup, ruler, squad, leaf_recall, answer_recall, qa, longbench,
    infinitebench. Systems: sharedllm, window_only, full_attention, dynamic_ntk, yarn, streaming, encoder_decoder, bm25,
    bm25_past, bm25_passages.

    Results are items.jsonl, results.json, results.md and PNG files. A run that was stopped goes on where it was.
    """
    with loading_libraries():
        from ..evaluation.baselines import BUDGETED, SYSTEMS, make_system
        from ..evaluation.measurements import check_inputs, check_names, choose_measurements
        from ..evaluation.plots import check_matplotlib
        from ..evaluation.report import markdown, write_report
        from ..evaluation.run import run
        from ..evaluation.settings import EvaluationSettings
        from ..evaluation.weights import weights_digest
        from ..tree_cache import MemoryTier, TreeCache
        from .engines import make_engine

    inputs = files.files()
    systems = list(dict.fromkeys(_SYSTEMS if measurement.systems is None else parse_names(measurement.systems)))
    check_names(systems, list(SYSTEMS), "system")
    names = None if measurement.measurements is None else parse_names(measurement.measurements)
    measurements = choose_measurements(names, [name for name, file in inputs.items() if file])
    settings = EvaluationSettings(**measurement.settings(report.quick), **inputs, join_sets=files.join_sets)
    check_inputs(**inputs)
    if not report.no_plots:
        check_matplotlib()
    budget = {} if measurement.budget is None else {"budget_tokens": measurement.budget}
    cache = TreeCache([MemoryTier(_CACHE_BYTES)])  # what an earlier run left on disk is not found
    engine = make_engine(model, cache)
    with kept_on_interrupt(lambda: f"the results so far are in {out}, and the same command goes on from there"):
        run(
            measurements,
            [make_system(name, engine, **(budget if name in BUDGETED else {})) for name in systems],
            replace(settings, tokenizer=engine.tokenizer),
            out,
            about={"weights": weights_digest(engine.model), "method": str(engine.method), **budget},
            progress=say,
        )
    found = write_report(out, plots=not report.no_plots)
    if printing.as_json:
        print_json(found)
    else:
        sys.stdout.write(markdown(found["results"]))
        say(f"results are in {out}")
