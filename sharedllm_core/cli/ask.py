"""`ask`: one question, or an interactive session without one."""

import sys
import time
from typing import Annotated

import typer

from ..answering import Question
from ..engine import SharedLLMEngine
from ..library import Library
from . import options
from .output import answer_json, print_evidence, print_json, print_usage, say, say_skipped

__all__ = ["ask"]


def ask(
    question: Annotated[
        str | None, typer.Argument(help="The question; without one, questions are read from the terminal or a pipe.")
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
    allow_untrained: options.AllowUntrained = False,
    skip_unreadable: options.SkipUnreadable = False,
    cache_dir: options.CacheDir = None,
    cache_bytes: options.CacheBytes = 20 * 10**9,
    namespace: options.Namespace = "default",
    remote: options.Remote = None,
    int8: options.Int8 = False,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Answer from documents, and show where the answer stands.

    Documents are compressed once and kept in the tree cache: the next question, in this process or another, does not
    read them again.
    """
    cache = options.make_cache(cache_dir, namespace, cache_bytes, remote, int8)
    engine = options.make_engine(model, base, device, dtype, allow_untrained, cache)
    settings: dict[str, object] = {
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "seed": seed,
        "stop": tuple(stop or ()),
        "num_evidence": evidence,
        "progress": None,
    }
    library = _library(engine, docs, once, skip_unreadable)
    if question is not None:
        _answer(engine, library, question, question, settings, as_json)
    else:
        _session(engine, library, settings, as_json)


def _library(engine: SharedLLMEngine, docs: list[str] | None, once: bool, skip_unreadable: bool) -> Library | None:
    if not docs:
        return None
    on_error = options.on_error(skip_unreadable)
    library = engine.library(docs, on_error=on_error) if once else engine.read(docs, on_error=on_error)
    say_skipped(library)
    return library


def _answer(
    engine: SharedLLMEngine,
    library: Library | None,
    asked: str,
    question: Question,
    settings: dict[str, object],
    as_json: bool,
) -> str:
    begin = time.perf_counter()
    stream = engine.stream(question, library, **settings)  # type: ignore[arg-type]
    with stream:
        for piece in stream:
            if not as_json:
                sys.stdout.write(piece)
                sys.stdout.flush()
    answer = stream.answer
    assert answer is not None
    if as_json:
        print_json(answer_json(asked, answer), indent=None if asked is not question else 2)
    else:
        sys.stdout.write("\n")
        sys.stdout.flush()
        print_evidence(answer.evidence)
        print_usage(answer, time.perf_counter() - begin)
    return answer.text


def _session(engine: SharedLLMEngine, library: Library | None, settings: dict[str, object], as_json: bool) -> None:
    """Questions one after the other, each with those before it; an empty line or the end of input ends it."""
    terminal = sys.stdin.isatty()
    if terminal:
        say("Ask; an empty line ends.")
    messages: list[dict[str, str]] = []
    while asked := _next_question(terminal):
        messages.append({"role": "user", "content": asked})
        text = _answer(engine, library, asked, messages, settings, as_json)
        messages.append({"role": "assistant", "content": text})


def _next_question(terminal: bool) -> str:
    if not terminal:
        return next((line.strip() for line in sys.stdin if line.strip()), "")
    try:
        return input("> ").strip()
    except EOFError:
        return ""
