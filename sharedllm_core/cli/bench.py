"""`bench`: speed and memory by length, beside full attention and other ways to read long texts."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InputError
from .interrupts import kept_on_interrupt, loading_libraries
from .option_groups import takes_option_groups
from .option_values import parse_names, parse_numbers
from .options import Device, Dtype, PrintOptions, ReportOptions
from .output import print_json, say

__all__ = ["bench"]

_QUICK: dict[str, Any] = {"lengths": (1_024, 2_048), "prompt_tokens": 16, "new_tokens": 8, "repeats": 2}
_RESULT = "efficiency.json"


@dataclass(frozen=True)
class MeasurementOptions:
    """What is measured, and how much of it."""

    lengths: Annotated[
        list[str] | None,
        typer.Option(metavar="TOKENS", help="Of past context, with commas between; by default 4096 to 131072."),
    ] = None
    systems: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="Likewise, of sharedllm, full_attention, streaming and encoder_decoder; by default all but streaming.",
        ),
    ] = None
    injection_layers: Annotated[
        list[str] | None, typer.Option(metavar="N", help="M, likewise; by default the model's own.")
    ] = None
    prompt_tokens: Annotated[int | None, typer.Option(min=1, metavar="N", help="Of the prompt; by default 128.")] = None
    new_tokens: Annotated[int | None, typer.Option(min=1, metavar="N", help="To decode; by default 128.")] = None
    repeats: Annotated[int | None, typer.Option(min=1, metavar="N", help="Turns; by default 5. Medians count.")] = None
    max_seconds: Annotated[
        float, typer.Option(min=0.001, metavar="X", help="Of one system at one length; then it takes no further turn.")
    ] = 600
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            metavar="N",
            help="Of the whole run, with the loading of the model; by default there is no limit. sharedllm and "
            "full_attention come first: a turn each at the shortest length, from which further times are expected, at "
            "the longest that fits and at one in the middle, and two more turns at the latter two. Then a turn of the "
            "other systems at these three, then the other lengths, then further turns. No turn begins that is expected "
            "to take longer than what remains; the table says what was left out, and why.",
        ),
    ] = None
    window_tokens: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="What streaming sees; by default the model's window, 4096 at most."),
    ] = None
    cache_bytes: Annotated[
        int, typer.Option(min=0, metavar="N", help="The most bytes of trees, in memory and on disk each.")
    ] = 16 * 10**9

    def settings(self, quick: bool) -> dict[str, Any]:
        """The same as arguments of `EfficiencySettings`; explicit sizes override those of --quick."""
        sizes = {
            "lengths": self.lengths and parse_numbers("lengths", self.lengths),
            "systems": self.systems and tuple(parse_names(self.systems)),
            "injection_layers": self.injection_layers and parse_numbers("injection_layers", self.injection_layers),
            "prompt_tokens": self.prompt_tokens,
            "new_tokens": self.new_tokens,
            "repeats": self.repeats,
            "max_seconds": self.max_seconds,
            "minutes": self.minutes,
            "window_tokens": self.window_tokens,
            "cache_bytes": self.cache_bytes,
        }
        return (_QUICK if quick else {}) | {name: value for name, value in sizes.items() if value is not None}


@takes_option_groups()
def bench(
    out: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER",
            file_okay=False,
            help="Where turns, table, JSON and plots are written. A run goes on from the turns that are there.",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            envvar="SHAREDLLM_MODEL",
            metavar="NAME",
            help="Folder or hub id of a model, or a published shape such as llama-3.1-8b, with random weights; by "
            "default the shape and the weights of reader.",
        ),
    ] = None,
    *,
    measurement: MeasurementOptions,
    report: ReportOptions,
    device: Device = None,
    dtype: Dtype = None,
    printing: PrintOptions,
) -> None:
    """Measure speed and memory, beside full attention and others.

    All have the same weights. For each length of past context: time to the first token of documents that are unread, in
    the tree cache in memory, and on disk; reading ahead; decoding; peak memory; and how near each comes to what the
    hardware allows, which is measured as well. Systems take turns; running out of memory is a result.

    Each turn is kept as it comes. After an interrupt the same command goes on there, and with more --lengths, --systems
    or --repeats it adds to what is in the folder; other settings need another folder.

    On a GPU: sharedllm bench --model llama-3.1-8b --injection-layers 4,16 --device cuda --dtype bfloat16 --lengths
    4096,16384,32768,65536,131072,262144,1048576 --cache-bytes 40000000000 --out runs/bench --minutes 10
    """
    began = time.monotonic()
    with loading_libraries():
        from ..evaluation.efficiency import EfficiencySettings, holds_turns, measure, tables, write_plots
        from ..evaluation.plots import check_matplotlib

    system: dict[str, Any] = {"dtype": dtype, "model": model or None, "device": device}
    named = {name: value for name, value in system.items() if value is not None}
    settings = EfficiencySettings(**measurement.settings(report.quick), **named)
    if (out / _RESULT).exists() and not holds_turns(out):
        raise _no_turns(out)
    if not report.no_plots:
        check_matplotlib()
    with kept_on_interrupt(lambda: f"the turns that were measured are in {out}; the same command goes on there"):
        result = measure(settings, say, lambda so_far: _write(out, so_far, tables(so_far)), folder=out, began=began)
    if not report.no_plots:
        write_plots(result, out)
    if printing.as_json:
        print_json(result)
    else:
        sys.stdout.write(tables(result) + "\n")
        say(f"results are in {out}")


def _no_turns(out: Path) -> InputError:
    return InputError(
        f"{out / _RESULT} is there already, without the turns from which a run could go on",
        remedy="name another folder with --out",
    )


def _write(out: Path, result: dict[str, Any], table: str) -> None:
    from ..evaluation.result_folder import replace_file

    replace_file(out / _RESULT, json.dumps(result, indent=2) + "\n")
    replace_file(out / "efficiency.md", table + "\n")
