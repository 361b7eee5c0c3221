"""`read`: compress documents ahead of any question."""

import time
from dataclasses import asdict, replace

import typer

from ..errors import SharedLLMError
from .interrupts import loading_libraries
from .option_groups import takes_option_groups
from .options import CacheOptions, DocsArgument, DocumentOptions, ModelOptions, PrintOptions
from .output import counted, print_json, say

__all__ = ["read"]


@takes_option_groups(omit=["allow_untrained", "reading"])
def read(
    docs: DocsArgument, *, model: ModelOptions, documents: DocumentOptions, cache: CacheOptions, printing: PrintOptions
) -> None:
    """Compress documents into the tree cache, ahead of questions.

    What the cache already has is not read again. The exit code is 1 where trees could not be kept. A model without
    injection answers from passages of the files themselves: for it, nothing is compressed or kept.
    """
    if not cache.cache_bytes and not cache.remote:
        raise typer.BadParameter("0 without --remote leaves nowhere to keep trees", param_hint="--cache-bytes")
    with loading_libraries():
        from .sources import load_documents
    found = load_documents(docs, documents)
    with loading_libraries():
        from .engines import make_cache, make_engine, read_library
    engine = make_engine(replace(model, allow_untrained=True), make_cache(cache, in_memory=False))
    library = engine.library(found.documents)
    cached = engine.cached_tokens(library)
    begin = time.perf_counter()
    read_library(engine, library)
    seconds = time.perf_counter() - begin
    new = library.num_tokens - cached
    if printing.as_json:
        print_json(
            {
                "documents": len(library),
                "tokens": library.num_tokens,
                "chunks": len(library.chunks),
                "cached_tokens": cached,
                "seconds": round(seconds, 3),
                "fingerprint": library.fingerprint,
                "reading": engine.reading,
                "warnings": [asdict(warning) for warning in found.warnings],
                "skipped": [{"path": skipped.path, "reason": skipped.reason} for skipped in found.skipped],
            }
        )
    elif engine.reading == "quoted":
        say(
            f"{counted(len(library), 'document')}, {counted(library.num_tokens, 'token')}: nothing was compressed or "
            "kept; this model answers from passages, which `sharedllm ask` finds by their words"
        )
    else:
        rate = f", {new / seconds:,.0f} tokens/s" if new else ""
        say(
            f"{counted(len(library), 'document')}, {counted(library.num_tokens, 'token')} in "
            f"{counted(len(library.chunks), 'chunk')}: {cached:,} were cached, {new:,} were read in "
            f"{seconds:.1f} s{rate}"
        )
    lost = library.num_tokens - engine.cached_tokens(library) if new and engine.reading != "quoted" else 0
    if lost:
        raise SharedLLMError(
            f"of {counted(library.num_tokens, 'token')} the trees of {lost:,} could not be kept",
            limit="and each question would make them again",
            remedy=["fix what the warnings name", "raise --cache-bytes", "choose another --cache-dir"],
        )
