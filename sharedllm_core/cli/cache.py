"""`cache`: what the tree cache holds on disk; check it, empty it, forget documents."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from .commands import Command
from .interrupts import loading_libraries
from .option_groups import takes_option_groups
from .options import CacheOptions, DocsArgument, DocumentOptions, ModelOptions, PrintOptions
from .output import counted, human_bytes, print_json, say

if TYPE_CHECKING:
    from ..tree_cache import DiskTier, TreeCache

__all__ = ["cache_commands"]

cache_commands = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Show what the tree cache holds; check it, empty it."
)

# For commands that concern the disk alone.
_takes_folder = takes_option_groups(omit=["cache_bytes", "remote", "int8"])


@cache_commands.command(cls=Command)
@_takes_folder
def stats(*, cache: CacheOptions, printing: PrintOptions) -> None:
    """Show how many trees are on disk, and their bytes."""
    disk = _disk(_make_cache(cache))
    found = disk.measure()
    if printing.as_json:
        print_json(
            {
                "namespace": cache.namespace,
                "folder": str(disk.folder),
                "entries": found.entries,
                "num_bytes": found.num_bytes,
            }
        )
        return
    for name, value in (
        ("namespace", cache.namespace),
        ("folder", disk.folder),
        ("trees", f"{found.entries:,}"),
        ("size", human_bytes(found.num_bytes)),
    ):
        typer.echo(f"{name:11}{value}")


@cache_commands.command(cls=Command)
@_takes_folder
def verify(*, cache: CacheOptions, printing: PrintOptions) -> None:
    """Compare every tree on disk with its checksum.

    Damaged ones are removed, to be made again when they are needed; the exit code is then 1.
    """
    found = _make_cache(cache).verify()
    if printing.as_json:
        print_json({"sound": found.sound, "removed": found.removed, "unreadable": found.unreadable})
    else:
        damaged = f"{len(found.removed):,} damaged and removed" if found.removed else "none damaged"
        unreadable = f", {len(found.unreadable):,} cannot be read" if found.unreadable else ""
        say(f"{counted(found.sound, 'tree')} sound, {damaged}{unreadable}")
    if found.removed or found.unreadable:
        raise typer.Exit(1)


@cache_commands.command(cls=Command)
@_takes_folder
def clear(
    *,
    cache: CacheOptions,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking; needed where no one can.")] = False,
    printing: PrintOptions,
) -> None:
    """Delete all trees of a namespace from disk."""
    tree_cache = _make_cache(cache)
    disk = _disk(tree_cache)
    disk.measure()
    entries, num_bytes = disk.stats.entries, disk.stats.num_bytes
    if entries and not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("there is no terminal to ask in; give it to delete", param_hint="--yes")
        typer.confirm(f"Delete {counted(entries, 'tree')}, {human_bytes(num_bytes)}?", abort=True, err=True)
    entries = tree_cache.clear()
    if printing.as_json:
        print_json({"removed": entries, "bytes": num_bytes})
    else:
        say(f"{counted(entries, 'tree')} deleted, {human_bytes(num_bytes)}")


@cache_commands.command(cls=Command)
@takes_option_groups(omit=["device", "allow_untrained", "cache_bytes"])
def forget(
    docs: DocsArgument, *, model: ModelOptions, documents: DocumentOptions, cache: CacheOptions, printing: PrintOptions
) -> None:
    """Delete the trees of some documents, also remotely.

    Trees belong to a text and a model: give the files as they were read, and the same --model, --dtype, --policy,
    --int8 and --namespace.
    """
    with loading_libraries():
        from .engines import make_cache, make_engine
        from .sources import load_documents
    found = load_documents(docs, documents)
    engine = make_engine(replace(model, allow_untrained=True), make_cache(cache, in_memory=False))
    removed = engine.forget(found.documents)
    if printing.as_json:
        print_json({"removed": removed})
    else:
        say(f"{counted(removed, 'tree')} deleted")


def _make_cache(options: CacheOptions) -> "TreeCache":
    with loading_libraries():
        from .engines import make_cache
    return make_cache(options, in_memory=False)


def _disk(cache: "TreeCache") -> "DiskTier":
    from ..tree_cache import DiskTier

    return next(tier for tier in cache.tiers if isinstance(tier, DiskTier))
