"""`eval`: measure a model, and others on the same base weights beside it."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..tree_cache import MemoryTier, TreeCache
from . import options
from .output import print_json, say

if TYPE_CHECKING:
    from ..evaluation.settings import EvaluationSettings

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

Files = list[Path] | None


def evaluate(
    out: Annotated[Path, typer.Option(metavar="FOLDER", file_okay=False, help="Where results go, or go on.")],
    measurements: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMES", help="With commas between, or repeated; by default all that the files allow."),
    ] = None,
    systems: Annotated[
        list[str] | None, typer.Option(metavar="NAMES", help="Likewise; by default sharedllm,window_only.")
    ] = None,
    lengths: Annotated[
        list[str] | None, typer.Option(metavar="TOKENS", help="Likewise; by default 4096 to 131072, doubling.")
    ] = None,
    items: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Sets of documents per cell, or rows per file; by default 20."),
    ] = None,
    forms: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMES", help="Of look-ups and leaf recall, such as single,two_hop; likewise."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same seed and files give the same items.")] = 0,
    texts: Annotated[
        Files, typer.Option(metavar="FILE", help="Long texts, JSON lines with `text`, .xz or not; may be repeated.")
    ] = None,
    squad: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Articles of SQuAD, JSON lines with title and paragraphs.")
    ] = None,
    longbench: Annotated[Files, typer.Option(metavar="FILE", help="A file of LongBench; may be repeated.")] = None,
    infinitebench: Annotated[
        Files, typer.Option(metavar="FILE", help="A file of InfiniteBench, named after its task; may be repeated.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes, to see whether it works.")] = False,
    no_plots: Annotated[bool, typer.Option("--no-plots", help="Write no PNG files, which need matplotlib.")] = False,
    model: options.Model = None,
    base: options.Base = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    policy: options.Policy = None,
    allow_untrained: options.AllowUntrained = False,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Measure a model, and others on the same base weights beside it.

    Measurements: perplexity, needle, lookup, ruler, squad, leaf_recall, longbench, infinitebench. Systems: sharedllm,
    window_only, full_attention, dynamic_ntk, yarn, streaming, encoder_decoder, bm25, bm25_past.

    Results are items.jsonl, results.json, results.md and PNG files. A run that was stopped goes on where it was.
    """
    from ..evaluation.baselines import SYSTEMS, make_system
    from ..evaluation.measurements import check_inputs, check_names, choose_measurements
    from ..evaluation.plots import check_matplotlib
    from ..evaluation.report import markdown, write_report
    from ..evaluation.run import run
    from ..evaluation.settings import EvaluationSettings
    from ..evaluation.weights import weights_digest

    files: dict[str, Any] = {
        "texts": tuple(texts or ()),
        "squad": squad,
        "longbench": tuple(longbench or ()),
        "infinitebench": tuple(infinitebench or ()),
    }
    system_names = list(dict.fromkeys(options.names_of(systems) if systems is not None else _SYSTEMS))
    check_names(system_names, list(SYSTEMS), "system")
    asked = None if measurements is None else options.names_of(measurements)
    chosen = choose_measurements(asked, [name for name, given in files.items() if given])
    asked_forms = tuple(dict.fromkeys(options.names_of(forms) if forms is not None else ()))
    settings = _settings(EvaluationSettings(seed=seed, forms=asked_forms, **files), lengths, items, quick)
    check_inputs(**files)
    if not no_plots:
        check_matplotlib()
    cache = TreeCache([MemoryTier(_CACHE_BYTES)])  # what an earlier run left on disk is not found
    engine = options.make_engine(model, base, device, dtype, allow_untrained, cache, policy)
    run(
        chosen,
        [make_system(name, engine) for name in system_names],
        replace(settings, tokenizer=engine.tokenizer),
        out,
        about={"weights": weights_digest(engine.model), "method": str(engine.model.method)},
        progress=say,
    )
    found = write_report(out, plots=not no_plots)
    if as_json:
        print_json(found)
    else:
        sys.stdout.write(markdown(found["results"]))
        say(f"results are in {out}")


def _settings(
    settings: "EvaluationSettings", lengths: list[str] | None, items: int | None, quick: bool
) -> "EvaluationSettings":
    """The sizes that the options ask for; what is said plainly goes before --quick."""
    sizes: dict[str, Any] = dict(_QUICK) if quick else {}
    if lengths is not None:
        sizes["lengths"] = options.numbers_of("lengths", lengths)
    if items is not None:
        sizes["items"] = items
    return replace(settings, **sizes)
