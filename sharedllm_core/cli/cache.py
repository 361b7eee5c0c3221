"""`cache`: what the tree cache holds on disk; check it, empty it, forget documents."""

import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..tree_cache import DiskTier, TreeCache
from . import options
from .output import human_bytes, print_json, say

__all__ = ["cache_commands"]

cache_commands = typer.Typer(no_args_is_help=True, help="What the tree cache holds; check it, empty it.")

_DISK_BYTES = 20 * 10**9


@cache_commands.command()
def stats(
    cache_dir: options.CacheDir = None,
    cache_bytes: options.CacheBytes = _DISK_BYTES,
    namespace: options.Namespace = "default",
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Show how many trees of a namespace are on disk, and how many bytes they take."""
    disk = _disk(_cache(cache_dir, namespace, cache_bytes))
    disk.measure()
    if as_json:
        print_json(
            {"namespace": namespace, "folder": str(disk.folder), "max_bytes": disk.max_bytes} | asdict(disk.stats)
        )
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("namespace", namespace)
    table.add_row("folder", str(disk.folder))
    table.add_row("trees", f"{disk.stats.entries:,}")
    table.add_row("size", f"{human_bytes(disk.stats.num_bytes)} of at most {human_bytes(disk.max_bytes)}")
    Console(soft_wrap=True).print(table)


@cache_commands.command()
def verify(
    cache_dir: options.CacheDir = None,
    namespace: options.Namespace = "default",
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Compare every tree on disk with its checksum; damaged ones are removed. The exit code is then 1."""
    found = _cache(cache_dir, namespace, _DISK_BYTES).verify()
    if as_json:
        print_json({"sound": found.sound, "removed": found.removed})
    else:
        say(f"{found.sound:,} trees are sound, {len(found.removed):,} were damaged and are removed")
    if found.removed:
        raise typer.Exit(1)


@cache_commands.command()
def clear(
    cache_dir: options.CacheDir = None,
    namespace: options.Namespace = "default",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Delete all trees of a namespace from disk."""
    cache = _cache(cache_dir, namespace, _DISK_BYTES)
    disk = _disk(cache)
    disk.measure()
    entries, num_bytes = disk.stats.entries, disk.stats.num_bytes
    if entries and not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("there is no terminal to ask in; say --yes to delete")
        typer.confirm(f"Delete {entries:,} trees, {human_bytes(num_bytes)}?", abort=True, err=True)
    cache.clear()
    if as_json:
        print_json({"removed": entries, "bytes": num_bytes})
    else:
        say(f"{entries:,} trees, {human_bytes(num_bytes)}, are deleted")


@cache_commands.command()
def forget(
    docs: Annotated[list[str], typer.Argument(help="Files, folders or globs.")],
    model: options.Model = None,
    base: options.Base = None,
    dtype: options.Dtype = None,
    cache_dir: options.CacheDir = None,
    namespace: options.Namespace = "default",
    remote: options.Remote = None,
    int8: options.Int8 = False,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Delete the trees of some documents, on disk and in the remote store."""
    cache = options.make_cache(cache_dir, namespace, _DISK_BYTES, remote, int8, in_memory=False)
    engine = options.make_engine(model, base, None, dtype, True, cache)
    removed = engine.forget(docs)
    if as_json:
        print_json({"removed": removed})
    else:
        say(f"{removed:,} trees are deleted")


def _cache(cache_dir: options.CacheDir, namespace: str, cache_bytes: int) -> TreeCache:
    return options.make_cache(cache_dir, namespace, cache_bytes, None, False, in_memory=False)


def _disk(cache: TreeCache) -> DiskTier:
    disk = next((tier for tier in cache.tiers if isinstance(tier, DiskTier)), None)
    if disk is None:
        raise typer.BadParameter("--cache-bytes 0 leaves no cache on disk to look at")
    return disk
