"""Options that several commands share, and the engine that they ask for."""

import logging
import os
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from transformers.utils import logging as transformers_logging

from ..engine import SharedLLMEngine
from ..tree_cache import TreeCache

__all__ = [
    "AllowUntrained",
    "AsJson",
    "Base",
    "CacheBytes",
    "CacheDir",
    "Debug",
    "Device",
    "Docs",
    "Dtype",
    "Evidence",
    "Int8",
    "MaxNewTokens",
    "Model",
    "Namespace",
    "Remote",
    "Seed",
    "SkipUnreadable",
    "Stop",
    "Temperature",
    "TopP",
    "make_cache",
    "make_engine",
    "on_error",
]

Model = Annotated[
    str | None,
    typer.Option(
        envvar="SHAREDLLM_MODEL", help="Folder or hub id of a trained model; by default the one in the package."
    ),
]
Base = Annotated[str | None, typer.Option(help="Of an adapter: where its base model is now.")]
Device = Annotated[str | None, typer.Option(help="Where the model runs, such as cuda; by default the CPU.")]
Dtype = Annotated[str | None, typer.Option(help="Of the weights, such as bfloat16; by default the checkpoint's.")]
AllowUntrained = Annotated[
    bool, typer.Option("--allow-untrained", help="Answer also with an injection that was never trained.")
]
Docs = Annotated[
    list[str] | None, typer.Option("--docs", "-d", help="File, folder or glob to answer from; may be repeated.")
]
SkipUnreadable = Annotated[
    bool, typer.Option("--skip-unreadable", help="Leave out files that cannot be read, and name them.")
]
CacheDir = Annotated[
    Path | None,
    typer.Option(
        envvar="SHAREDLLM_CACHE_DIR",
        help="Folder of the tree cache; by default the user's cache folder.",
    ),
]
CacheBytes = Annotated[int, typer.Option(help="The most bytes of the tree cache on disk; 0 for none on disk.")]
Namespace = Annotated[str, typer.Option(help="Keeps the trees of tenants apart.")]
Remote = Annotated[
    str | None, typer.Option(help="A further store of trees: any fsspec URL, such as s3://bucket/trees.")
]
Int8 = Annotated[bool, typer.Option("--int8", help="Keep trees as 8-bit numbers: less space, and a loss.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on standard output.")]
MaxNewTokens = Annotated[int | None, typer.Option(help="The most tokens to write; by default 256.")]
Temperature = Annotated[float, typer.Option(help="0 takes the likeliest token each time.")]
TopP = Annotated[float, typer.Option(help="Draw only from the likeliest tokens of this probability together.")]
Seed = Annotated[int | None, typer.Option(help="The same seed draws the same tokens.")]
Stop = Annotated[list[str] | None, typer.Option(help="A string at which the answer ends; may be repeated.")]
Evidence = Annotated[int, typer.Option(help="The most spans of evidence to show; 0 for none.")]


def _set_debug(value: bool) -> bool:
    if value:
        os.environ["SHAREDLLM_DEBUG"] = "1"
    return value


Debug = Annotated[
    bool, typer.Option("--debug", callback=_set_debug, is_eager=True, help="Show tracebacks and the libraries' logs.")
]


def on_error(skip_unreadable: bool) -> Literal["raise", "skip"]:
    """How to take a file that cannot be read."""
    return "skip" if skip_unreadable else "raise"


def make_cache(
    cache_dir: Path | None, namespace: str, cache_bytes: int, remote: str | None, int8: bool, *, in_memory: bool = True
) -> TreeCache:
    """The tree cache that the options describe."""
    return TreeCache.default(
        folder=cache_dir,
        namespace=namespace,
        disk_bytes=cache_bytes,
        remote_url=remote,
        int8=int8,
        memory_bytes=2 * 10**9 if in_memory else 0,
    )


def make_engine(
    model: str | None, base: str | None, device: str | None, dtype: str | None, allow_untrained: bool, cache: TreeCache
) -> SharedLLMEngine:
    """The engine that the options describe; the libraries below keep quiet unless --debug is given."""
    if not os.environ.get("SHAREDLLM_DEBUG"):
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        logging.captureWarnings(False)
        warnings.filterwarnings("ignore", category=FutureWarning)
    kwargs: dict[str, Any] = {} if dtype is None else {"dtype": dtype}
    return SharedLLMEngine.from_pretrained(
        model, base=base, device=device, cache=cache, allow_untrained=allow_untrained, **kwargs
    )
