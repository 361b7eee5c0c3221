"""Options that several commands share, in groups."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..method.config import known_policies
from ..text.documents.reading import MAX_FILE_BYTES
from .option_values import DTYPES, READINGS, check_device, check_dtype, check_policy, check_reading, set_debug

if TYPE_CHECKING:
    from ..generation.settings import AnswerOptions

__all__ = [
    "STANDARD_INPUT",
    "CacheOptions",
    "Debug",
    "Device",
    "DocsArgument",
    "DocumentOptions",
    "Dtype",
    "GenerationOptions",
    "ModelOptions",
    "PrintOptions",
    "ReportOptions",
]

STANDARD_INPUT = "-"  # as a path
_MODEL_HELP = (
    "Folder or hub id of any causal language model, a GGUF file, smollm2, or reader: smollm2 with the updates of this "
    "package, for trying the library; it is the default, with a warning."
)
_READING_HELP = (
    f"How documents are read: {', '.join(READINGS)}; by default injected with a "
    "trained injection, and quoted with any other model."
)
_POLICY_HELP = f"Select by another policy than the checkpoint's: {', '.join(known_policies())}."

DocsArgument = Annotated[
    list[str], typer.Argument(metavar="DOCS", help="Files, folders or globs; - is standard input.")
]
Debug = Annotated[
    bool, typer.Option("--debug", callback=set_debug, is_eager=True, help="Show tracebacks and the libraries' logs.")
]
Device = Annotated[
    str | None,
    typer.Option(metavar="NAME", callback=check_device, help="Where the model runs, such as cuda; by default the CPU."),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        callback=check_dtype,
        help=f"Of the weights: {', '.join(DTYPES)}; by default the checkpoint's, but float32 on a CPU that cannot "
        "multiply in it.",
    ),
]


@dataclass(frozen=True)
class GenerationOptions:
    """How an answer is generated."""

    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="The most tokens to write, thoughts included; by default 256, or 2,048 if the model thinks, but never "
            "more than a quarter of the window.",
        ),
    ] = None
    temperature: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=100,
            metavar="X",
            help="0 takes the likeliest token each time; above, it draws. By default the model's own setting, or 0.",
        ),
    ] = None
    top_p: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="X",
            help="Draw only from the likeliest tokens of this probability together; by default the model's own, or 1.",
        ),
    ] = None
    top_k: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="K",
            help="Draw only from the K likeliest tokens, 0 for all; by default the model's own setting, or all.",
        ),
    ] = None
    repetition_penalty: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=100,
            metavar="X",
            help="Above 1, tokens that were there become less likely; by default the model's own setting, or 1.",
        ),
    ] = None
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, metavar="N", help="The same seed draws the same tokens.")
    ] = None
    stop: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="A string at which the answer ends; may be repeated.")
    ] = None
    quote_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="The most tokens of passages to quote; by default 4,096, or what is left.",
        ),
    ] = None
    thinking: Annotated[
        bool | None,
        typer.Option(
            "--thinking/--no-thinking",
            show_default=False,
            help="Whether a reasoning model thinks before it answers; by default as its chat template has it.",
        ),
    ] = None
    evidence: Annotated[
        int, typer.Option(min=0, metavar="N", help="The most spans of evidence to show; 0 for none.")
    ] = 3

    def settings(self) -> "AnswerOptions":
        """The same as keyword arguments of the engine."""
        return {
            "max_new_tokens": self.max_new_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "repetition_penalty": self.repetition_penalty,
            "seed": self.seed,
            "stop": tuple(self.stop or ()),
            "num_evidence": self.evidence,
            "quote_tokens": self.quote_tokens,
            "thinking": self.thinking,
        }


@dataclass(frozen=True)
class ModelOptions:
    """The model, and how it is loaded."""

    model: Annotated[str | None, typer.Option(envvar="SHAREDLLM_MODEL", metavar="NAME", help=_MODEL_HELP)] = None
    base: Annotated[str | None, typer.Option(metavar="NAME", help="Of an adapter: where its base model is now.")] = None
    device: Device = None
    dtype: Dtype = None
    policy: Annotated[str | None, typer.Option(metavar="NAME", callback=check_policy, help=_POLICY_HELP)] = None
    reading: Annotated[str | None, typer.Option(metavar="WAY", callback=check_reading, help=_READING_HELP)] = None
    allow_untrained: Annotated[
        bool,
        typer.Option(
            "--allow-untrained",
            help="Answer also with an injection that was never trained, which ignores the documents.",
        ),
    ] = False


@dataclass(frozen=True)
class DocumentOptions:
    """How documents are read."""

    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out files that cannot be read, and name them.")
    ] = False
    max_file_bytes: Annotated[int, typer.Option(min=1, metavar="N", help="The largest file that is read.")] = (
        MAX_FILE_BYTES
    )


@dataclass(frozen=True)
class CacheOptions:
    """The tree cache."""

    cache_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="SHAREDLLM_CACHE_DIR",
            metavar="FOLDER",
            file_okay=False,
            help="Folder of the tree cache; by default the user's cache folder.",
        ),
    ] = None
    cache_bytes: Annotated[
        int, typer.Option(min=0, metavar="N", help="The most bytes of the tree cache on disk; 0 for none on disk.")
    ] = 20 * 10**9
    namespace: Annotated[
        str, typer.Option(metavar="NAME", help="Of the tree cache: each tenant sees the trees of its own alone.")
    ] = "default"
    remote: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A further store of trees: any fsspec URL, such as s3://bucket/trees."),
    ] = None
    int8: Annotated[
        bool, typer.Option("--int8", help="Keep trees as 8-bit numbers: about half the space, and a small loss.")
    ] = False


@dataclass(frozen=True)
class ReportOptions:
    """Extent of a measurement, and its plots."""

    quick: Annotated[bool, typer.Option("--quick", help="Small sizes, to see whether it works.")] = False
    no_plots: Annotated[bool, typer.Option("--no-plots", help="Write no PNG files, which need matplotlib.")] = False


@dataclass(frozen=True)
class PrintOptions:
    """What is printed."""

    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on standard output.")] = False
    debug: Debug = False
