"""Options that several commands share, and the cache and the engine that they ask for."""

import logging
import os
import warnings
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from transformers.utils import logging as transformers_logging

from ..engine.engine import SharedLLMEngine
from ..errors import InputError
from ..method.config import known_policies
from ..text.documents.reading import MAX_FILE_BYTES
from ..tree_cache import TreeCache

__all__ = [
    "CACHE_BYTES",
    "MAX_FILE_BYTES",
    "AllowUntrained",
    "AsJson",
    "Base",
    "CacheBytes",
    "CacheDir",
    "Debug",
    "Device",
    "Docs",
    "DocsArgument",
    "Dtype",
    "Evidence",
    "Int8",
    "MaxFileBytes",
    "MaxNewTokens",
    "Model",
    "Namespace",
    "Policy",
    "Remote",
    "Seed",
    "SkipUnreadable",
    "Stop",
    "Temperature",
    "TopP",
    "make_cache",
    "make_engine",
    "names_of",
    "not_empty",
    "numbers_of",
]

CACHE_BYTES = 20 * 10**9
_MEMORY_BYTES = 2 * 10**9
_DTYPES = ("float32", "bfloat16", "float16")


def names_of(given: list[str]) -> list[str]:
    """What an option that may be repeated names, also with commas between."""
    return [name.strip() for part in given for name in part.split(",") if name.strip()]


def numbers_of(option: str, given: list[str]) -> tuple[int, ...]:
    """The same of whole numbers.

    Raises:
        InputError: something else.
    """
    try:
        return tuple(int(number) for number in names_of(given))
    except ValueError as error:
        raise InputError(f"{option} {given} are no whole numbers; give such as 4096,8192") from error


def not_empty(value: str | None) -> str | None:
    """Refuse a question of nothing before anything is loaded."""
    if value is not None and not value.strip():
        raise typer.BadParameter("it is empty; give a question")
    return value


def _known_policy(name: str | None) -> str | None:
    if name is not None and name not in known_policies():
        raise typer.BadParameter(f"{name!r} is no policy; use one of {', '.join(known_policies())}")
    return name


def _known_dtype(value: str | None) -> str | None:
    if value is not None and value not in _DTYPES:
        raise typer.BadParameter(f"{value!r} is not known; give one of {', '.join(_DTYPES)}")
    return value


def _usable_device(value: str | None) -> str | None:
    if value is not None:
        try:
            torch.empty(1, device=value).cpu()
        except Exception as error:  # each kind of device has its own
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise typer.BadParameter(
                f"{value!r} cannot be used here ({reason}); leave the option out for the CPU"
            ) from error
    return value


def _set_debug(value: bool) -> bool:
    if value:
        os.environ["SHAREDLLM_DEBUG"] = "1"
    return value


Model = Annotated[
    str | None,
    typer.Option(
        envvar="SHAREDLLM_MODEL",
        metavar="NAME",
        help="Folder or hub id of a trained model; by default the one in the package.",
    ),
]
Base = Annotated[str | None, typer.Option(metavar="NAME", help="Of an adapter: where its base model is now.")]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", callback=_usable_device, help="Where the model runs, such as cuda; by default the CPU."
    ),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        callback=_known_dtype,
        help=f"Of the weights: {', '.join(_DTYPES)}; by default the checkpoint's, but float32 on a CPU that cannot "
        "multiply in it.",
    ),
]
Policy = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        callback=_known_policy,
        help=f"Select by another policy than the checkpoint's: {', '.join(known_policies())}.",
    ),
]
AllowUntrained = Annotated[
    bool,
    typer.Option(
        "--allow-untrained", help="Answer also with an injection that was never trained, which ignores the documents."
    ),
]
Docs = Annotated[
    list[str] | None,
    typer.Option(
        "--docs",
        "-d",
        metavar="PATH",
        help="File, folder or glob to answer from; may be repeated. A glob goes in quotes, so that the shell leaves "
        "it alone.",
    ),
]
DocsArgument = Annotated[list[str], typer.Argument(metavar="DOCS", help="Files, folders or globs.")]
SkipUnreadable = Annotated[
    bool, typer.Option("--skip-unreadable", help="Leave out files that cannot be read, and name them.")
]
MaxFileBytes = Annotated[int, typer.Option(min=1, metavar="N", help="The largest file that is read.")]
CacheDir = Annotated[
    Path | None,
    typer.Option(
        envvar="SHAREDLLM_CACHE_DIR",
        metavar="FOLDER",
        file_okay=False,
        help="Folder of the tree cache; by default the user's cache folder.",
    ),
]
CacheBytes = Annotated[
    int, typer.Option(min=0, metavar="N", help="The most bytes of the tree cache on disk; 0 for none on disk.")
]
Namespace = Annotated[
    str, typer.Option(metavar="NAME", help="Of the tree cache: each tenant sees the trees of its own alone.")
]
Remote = Annotated[
    str | None,
    typer.Option(metavar="URL", help="A further store of trees: any fsspec URL, such as s3://bucket/trees."),
]
Int8 = Annotated[
    bool, typer.Option("--int8", help="Keep trees as 8-bit numbers: about half the space, and a small loss.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on standard output.")]
MaxNewTokens = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="The most tokens to write; by default 256, or a quarter of a window below 1,024."
    ),
]
Temperature = Annotated[
    float, typer.Option(min=0, max=100, metavar="X", help="0 takes the likeliest token each time; above, it draws.")
]
TopP = Annotated[
    float,
    typer.Option(min=0, max=1, metavar="X", help="Draw only from the likeliest tokens of this probability together."),
]
Seed = Annotated[
    int | None, typer.Option(min=0, max=2**32 - 1, metavar="N", help="The same seed draws the same tokens.")
]
Stop = Annotated[
    list[str] | None, typer.Option(metavar="TEXT", help="A string at which the answer ends; may be repeated.")
]
Evidence = Annotated[int, typer.Option(min=0, metavar="N", help="The most spans of evidence to show; 0 for none.")]
Debug = Annotated[
    bool, typer.Option("--debug", callback=_set_debug, is_eager=True, help="Show tracebacks and the libraries' logs.")
]


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
        memory_bytes=_MEMORY_BYTES if in_memory else 0,
    )


def make_engine(
    model: str | None,
    base: str | None,
    device: str | None,
    dtype: str | None,
    allow_untrained: bool,
    cache: TreeCache,
    policy: str | None = None,
) -> SharedLLMEngine:
    """The engine that the options describe; the libraries below keep quiet unless --debug is given."""
    if not os.environ.get("SHAREDLLM_DEBUG"):
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        logging.captureWarnings(False)
        warnings.filterwarnings("ignore", category=FutureWarning)
    kwargs: dict[str, Any] = {} if dtype is None else {"dtype": dtype}
    return SharedLLMEngine.from_pretrained(
        model or None,
        base=base,
        device=device,
        cache=cache,
        allow_untrained=allow_untrained,
        policy=policy,
        **kwargs,
    )
