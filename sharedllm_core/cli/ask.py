"""`ask`: one question, or an interactive session without one."""

from typing import Annotated

import typer

from ..text.library import Library
from . import options
from .session import Session
from .sources import load_documents

__all__ = ["ask"]


def ask(
    question: Annotated[
        str | None,
        typer.Argument(
            metavar="QUESTION",
            callback=options.not_empty,
            help="The question, in quotes; without one, questions are read from the terminal, or one a line from a "
            "pipe, each with those before it.",
        ),
    ] = None,
    docs: options.Docs = None,
    once: Annotated[
        bool,
        typer.Option("--once", help="Read of new documents only what this question needs: three times sooner, once."),
    ] = False,
    max_new_tokens: options.MaxNewTokens = None,
    temperature: options.Temperature = 0.0,
    top_p: options.TopP = 1.0,
    seed: options.Seed = None,
    stop: options.Stop = None,
    evidence: options.Evidence = 3,
    model: options.Model = None,
    base: options.Base = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    policy: options.Policy = None,
    allow_untrained: options.AllowUntrained = False,
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
    """Answer from documents, and show the evidence.

    Documents are compressed once and kept in the tree cache: the next question, in this process or another, does not
    read them again.

    With --json, one question gives one object, and a session one object a line.
    """
    found = load_documents(docs, skip_unreadable, max_file_bytes) if docs else None
    cache = options.make_cache(cache_dir, namespace, cache_bytes, remote, int8)
    engine = options.make_engine(model, base, device, dtype, allow_untrained, cache, policy)
    library: Library | None = None if found is None else engine.library(found.documents)
    session = Session(
        engine,
        library,
        as_json,
        {
            "max_new_tokens": max_new_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "seed": seed,
            "stop": tuple(stop or ()),
            "num_evidence": evidence,
            "progress": None,
        },
    )
    session.check(question or "?")
    if library is not None and not once:
        engine.read(library)
    if question is not None:
        session.answer(question, question, indent=2)
    else:
        session.run()
