"""`bench`: speed and memory by length, beside full attention and other ways to read long texts."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InputError
from . import options
from .output import print_json, say

__all__ = ["bench"]

_QUICK: dict[str, Any] = {"lengths": (1_024, 2_048), "prompt_tokens": 16, "new_tokens": 8, "repeats": 2}
_RESULT = "efficiency.json"


def bench(
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", file_okay=False, help="Where table, JSON and plots are written.")
    ],
    model: Annotated[
        str | None,
        typer.Option(
            envvar="SHAREDLLM_MODEL",
            metavar="NAME",
            help="Folder or hub id of a model, or a published shape such as llama-3.1-8b, with random weights; by "
            "default the model in the package.",
        ),
    ] = None,
    lengths: Annotated[
        list[str] | None,
        typer.Option(metavar="TOKENS", help="Of past context, with commas between; by default 4096 to 131072."),
    ] = None,
    systems: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES", help="Likewise; by default sharedllm, full_attention, streaming and encoder_decoder."
        ),
    ] = None,
    injection_layers: Annotated[
        list[str] | None, typer.Option(metavar="N", help="M, likewise; by default the model's own.")
    ] = None,
    prompt_tokens: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Of the prompt; by default 128.")
    ] = None,
    new_tokens: Annotated[int | None, typer.Option(min=1, metavar="N", help="To decode; by default 128.")] = None,
    repeats: Annotated[int | None, typer.Option(min=1, metavar="N", help="Turns; by default 5. Medians count.")] = None,
    max_seconds: Annotated[
        float, typer.Option(min=0.001, metavar="X", help="Of one system at one length; then it takes no further turn.")
    ] = 600,
    window_tokens: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="What streaming sees; by default the model's window, 4096 at most."),
    ] = None,
    cache_bytes: Annotated[
        int, typer.Option(min=0, metavar="N", help="The most bytes of trees, in memory and on disk each.")
    ] = 16 * 10**9,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes, to see whether it works.")] = False,
    no_plots: Annotated[bool, typer.Option("--no-plots", help="Write no PNG files, which need matplotlib.")] = False,
    device: options.Device = None,
    dtype: options.Dtype = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Measure speed and memory, beside full attention and others.

    All have the same weights. For each length of past context: time to the first token of documents that are unread, in
    the tree cache in memory, and on disk; reading ahead; decoding; peak memory; and how near each comes to what the
    hardware allows, which is measured as well. Systems take turns; running out of memory is a result.

    On a GPU: sharedllm bench --model llama-3.1-8b --injection-layers 4,16 --device cuda --dtype bfloat16 --lengths
    4096,16384,32768,65536,131072,262144,1048576 --cache-bytes 40000000000
    --out runs/bench
    """
    from ..evaluation.efficiency import EfficiencySettings, measure, tables, write_plots
    from ..evaluation.plots import check_matplotlib

    sizes: dict[str, Any] = dict(_QUICK) if quick else {}
    given = {
        "lengths": lengths and options.numbers_of("lengths", lengths),
        "systems": systems and tuple(options.names_of(systems)),
        "injection_layers": injection_layers and options.numbers_of("injection-layers", injection_layers),
        "prompt_tokens": prompt_tokens,
        "new_tokens": new_tokens,
        "repeats": repeats,
        "window_tokens": window_tokens,
        "dtype": dtype,
        "model": model or None,
        "device": device,
    }
    sizes |= {name: value for name, value in given.items() if value is not None}
    settings = EfficiencySettings(**sizes, max_seconds=max_seconds, cache_bytes=cache_bytes)
    if (out / _RESULT).exists():
        raise InputError(f"{out / _RESULT} is there already, and hours of work perhaps; name another folder with out")
    if not no_plots:
        check_matplotlib()
    result = measure(settings, progress=say, keep=lambda so_far: _write(out, so_far, tables(so_far)))
    if not no_plots:
        write_plots(result, out)
    if as_json:
        print_json(result)
    else:
        sys.stdout.write(tables(result) + "\n")
        say(f"results are in {out}")


def _write(out: Path, result: dict[str, Any], table: str) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / _RESULT).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    (out / "efficiency.md").write_text(table + "\n", encoding="utf-8")
