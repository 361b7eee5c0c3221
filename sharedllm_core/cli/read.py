"""`read`: compress documents ahead of any question."""

import time
from typing import Annotated

import typer

from . import options
from .output import print_json, say, say_skipped

__all__ = ["read"]


def read(
    docs: Annotated[list[str], typer.Argument(help="Files, folders or globs.")],
    model: options.Model = None,
    base: options.Base = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    skip_unreadable: options.SkipUnreadable = False,
    cache_dir: options.CacheDir = None,
    cache_bytes: options.CacheBytes = 20 * 10**9,
    namespace: options.Namespace = "default",
    remote: options.Remote = None,
    int8: options.Int8 = False,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Compress documents into the tree cache, so that questions need not wait for it."""
    cache = options.make_cache(cache_dir, namespace, cache_bytes, remote, int8)
    engine = options.make_engine(model, base, device, dtype, True, cache)
    library = engine.library(docs, on_error=options.on_error(skip_unreadable))
    say_skipped(library)
    cached = engine.cached_tokens(library)
    begin = time.perf_counter()
    engine.read(library)
    seconds = time.perf_counter() - begin
    if as_json:
        print_json(
            {
                "documents": len(library),
                "tokens": library.num_tokens,
                "chunks": len(library.chunks),
                "cached_tokens": cached,
                "seconds": round(seconds, 3),
                "fingerprint": library.fingerprint,
                "skipped": [{"path": skipped.path, "reason": skipped.reason} for skipped in library.skipped],
            }
        )
        return
    new = library.num_tokens - cached
    rate = f", {new / seconds:,.0f} tokens/s" if new else ""
    say(
        f"{len(library):,} documents, {library.num_tokens:,} tokens in {len(library.chunks):,} chunks: "
        f"{cached:,} were cached, {new:,} were read in {seconds:.1f} s{rate}"
    )
