"""`cache`: what the tree cache holds on disk; check it, empty it, forget documents."""

import sys
from typing import Annotated

import typer

from ..tree_cache import DiskTier, TreeCache
from . import options
from .output import counted, human_bytes, print_json, say
from .sources import load_documents

__all__ = ["cache_commands"]

cache_commands = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Show what the tree cache holds; check it, empty it."
)


@cache_commands.command()
def stats(
    cache_dir: options.CacheDir = None,
    namespace: options.Namespace = "default",
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Show how many trees are on disk, and their bytes."""
    disk = _disk(_cache(cache_dir, namespace))
    found = disk.measure()
    if as_json:
        print_json(
            {
                "namespace": namespace,
                "folder": str(disk.folder),
                "entries": found.entries,
                "num_bytes": found.num_bytes,
            }
        )
        return
    for name, value in (
        ("namespace", namespace),
        ("folder", disk.folder),
        ("trees", f"{found.entries:,}"),
        ("size", human_bytes(found.num_bytes)),
    ):
        typer.echo(f"{name:11}{value}")


@cache_commands.command()
def verify(
    cache_dir: options.CacheDir = None,
    namespace: options.Namespace = "default",
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Compare every tree on disk with its checksum.

    Damaged ones are removed, to be made again when they are needed; the exit code is then 1.
    """
    found = _cache(cache_dir, namespace).verify()
    if as_json:
        print_json({"sound": found.sound, "removed": found.removed, "unreadable": found.unreadable})
    else:
        damaged = f"{len(found.removed):,} damaged and removed" if found.removed else "none damaged"
        unreadable = f", {len(found.unreadable):,} cannot be read" if found.unreadable else ""
        say(f"{counted(found.sound, 'tree')} sound, {damaged}{unreadable}")
    if found.removed or found.unreadable:
        raise typer.Exit(1)


@cache_commands.command()
def clear(
    cache_dir: options.CacheDir = None,
    namespace: options.Namespace = "default",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking; needed where no one can.")] = False,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Delete all trees of a namespace from disk."""
    cache = _cache(cache_dir, namespace)
    disk = _disk(cache)
    disk.measure()
    entries, num_bytes = disk.stats.entries, disk.stats.num_bytes
    if entries and not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("there is no terminal to ask in; give it to delete", param_hint="--yes")
        typer.confirm(f"Delete {counted(entries, 'tree')}, {human_bytes(num_bytes)}?", abort=True, err=True)
    entries = cache.clear()
    if as_json:
        print_json({"removed": entries, "bytes": num_bytes})
    else:
        say(f"{counted(entries, 'tree')} deleted, {human_bytes(num_bytes)}")


@cache_commands.command()
def forget(
    docs: options.DocsArgument,
    model: options.Model = None,
    base: options.Base = None,
    dtype: options.Dtype = None,
    policy: options.Policy = None,
    skip_unreadable: options.SkipUnreadable = False,
    max_file_bytes: options.MaxFileBytes = options.MAX_FILE_BYTES,
    cache_dir: options.CacheDir = None,
    namespace: options.Namespace = "default",
    remote: options.Remote = None,
    int8: options.Int8 = False,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Delete the trees of some documents, also remotely.

    Trees belong to a text and a model: give the files as they were read, and the same --model, --dtype, --policy,
    --int8 and --namespace.
    """
    found = load_documents(docs, skip_unreadable, max_file_bytes)
    cache = options.make_cache(cache_dir, namespace, options.CACHE_BYTES, remote, int8, in_memory=False)
    engine = options.make_engine(model, base, None, dtype, True, cache, policy)
    removed = engine.forget(found.documents)
    if as_json:
        print_json({"removed": removed})
    else:
        say(f"{counted(removed, 'tree')} deleted")


def _cache(cache_dir: options.CacheDir, namespace: str) -> TreeCache:
    return options.make_cache(cache_dir, namespace, options.CACHE_BYTES, None, False, in_memory=False)


def _disk(cache: TreeCache) -> DiskTier:
    return next(tier for tier in cache.tiers if isinstance(tier, DiskTier))
