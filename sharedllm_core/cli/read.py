"""`read`: compress documents ahead of any question."""

import time

import typer

from ..errors import SharedLLMError
from . import options
from .output import counted, print_json, say
from .sources import load_documents

__all__ = ["read"]


def read(
    docs: options.DocsArgument,
    model: options.Model = None,
    base: options.Base = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    policy: options.Policy = None,
    skip_unreadable: options.SkipUnreadable = False,
    max_file_bytes: options.MaxFileBytes = options.MAX_FILE_BYTES,
    cache_dir: options.CacheDir = None,
    cache_bytes: options.CacheBytes = options.CACHE_BYTES,
    namespace: options.Namespace = "default",
    remote: options.Remote = None,
    int8: options.Int8 = False,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Compress documents into the tree cache, ahead of questions.

    What the cache already has is not read again. The exit code is 1 where trees could not be kept.
    """
    if not cache_bytes and not remote:
        raise typer.BadParameter("0 without --remote leaves nowhere to keep trees", param_hint="--cache-bytes")
    found = load_documents(docs, skip_unreadable, max_file_bytes)
    cache = options.make_cache(cache_dir, namespace, cache_bytes, remote, int8, in_memory=False)
    engine = options.make_engine(model, base, device, dtype, True, cache, policy)
    library = engine.library(found.documents)
    cached = engine.cached_tokens(library)
    begin = time.perf_counter()
    engine.read(library)
    seconds = time.perf_counter() - begin
    new = library.num_tokens - cached
    if as_json:
        print_json(
            {
                "documents": len(library),
                "tokens": library.num_tokens,
                "chunks": len(library.chunks),
                "cached_tokens": cached,
                "seconds": round(seconds, 3),
                "fingerprint": library.fingerprint,
                "skipped": [{"path": skipped.path, "reason": skipped.reason} for skipped in found.skipped],
            }
        )
    else:
        rate = f", {new / seconds:,.0f} tokens/s" if new else ""
        say(
            f"{counted(len(library), 'document')}, {counted(library.num_tokens, 'token')} in "
            f"{counted(len(library.chunks), 'chunk')}: {cached:,} were cached, {new:,} were read in "
            f"{seconds:.1f} s{rate}"
        )
    lost = library.num_tokens - engine.cached_tokens(library) if new else 0
    if lost:
        raise SharedLLMError(
            f"of {counted(library.num_tokens, 'token')} the trees of {lost:,} could not be kept, and each question "
            "would make them again; mend what the warnings name, raise --cache-bytes, or choose another --cache-dir"
        )
