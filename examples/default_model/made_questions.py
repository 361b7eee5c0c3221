"""Rows for `sharedllm train` that are made: look-ups of facts in real texts, calls of tools, and texts that go on.

    python examples/default_model/made_questions.py --texts novels_train.jsonl.xz tech_docs.jsonl.xz --out made.jsonl

With `--manuals`, their statements are asked for as well (`stated_questions.py`).

Look-ups are those of `sharedllm_core.training.tasks`, with the further kinds of fact in `kinds/*.yaml`, in documents of
some thousands of tokens; a row has the passages that the search finds for a few of them, and no question whose facts it
did not find. Calls are those of `tool_calls.py`. Texts that go on keep the model a model of language.
"""

import argparse
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from row_files import SearchedRow, passage_documents, searched_documents, write_rows
from stated_questions import stated_rows
from tool_calls import CallRows

from sharedllm_core import Document, SharedLLMConfig
from sharedllm_core.engine.loading import load_tokenizer_from
from sharedllm_core.engine.model_names import checkpoint_location
from sharedllm_core.generation.tool_notations.notation import ToolNotation
from sharedllm_core.text.library import make_library
from sharedllm_core.text.passages import Passage, find_passages
from sharedllm_core.text.tokenization import TextTokenizer
from sharedllm_core.training.tasks import Evidence, FactKind, Task, TaskSettings, generate_tasks, read_kinds, read_texts

#: Tokens that are searched, and facts beside each that is asked for; the last documents are hardly anything but facts.
_DOCUMENTS = ((1_500, 2), (4_000, 2), (1_000, 6))
_QUESTIONS = 4  # of a set of documents
_TOKENS_PER_QUESTION = 220  # of passages
_FEWEST_TOKENS = 400
_FORMS = ("single", "single", "multi_key", "multi_value", "two_hop", "counting", "unanswerable", "tool_call", "json")
_CHARACTERS = 1_600  # of a text that goes on, before and after the border
_GO_ON = ("Go on with the text.", "Continue.", "Write on.", "What comes next?")


def main() -> None:
    """Write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", nargs="+", required=True, help="files of texts that facts are placed in")
    parser.add_argument(
        "--base", default="smollm2", help="whose tokens are counted, and whose notation of calls is used"
    )
    parser.add_argument("--look-ups", type=int, default=400, help="how many rows")
    parser.add_argument("--stated", type=int, default=200, help="how many rows")
    parser.add_argument("--manuals", nargs="*", default=(), help="files of texts whose statements are asked for")
    parser.add_argument("--calls", type=int, default=400, help="how many rows")
    parser.add_argument("--texts-that-go-on", type=int, default=150, help="how many rows")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tokenizer = TextTokenizer(load_tokenizer_from([checkpoint_location(options.base)]))
    rng = Random(options.seed)  # noqa: S311 (no secret)
    texts = list(read_texts(options.texts))
    looked_up = list(islice(_look_ups(texts, tokenizer, options.seed, rng), options.look_ups))
    stated = list(islice(stated_rows(list(read_texts(options.manuals)), tokenizer, rng), options.stated))
    searched = [*looked_up, *stated]
    calls = CallRows(ToolNotation.for_tokenizer(tokenizer)).rows(searched, options.calls, rng)
    rows = [*(row for row, _ in searched), *calls, *islice(_going_on(texts, rng), options.texts_that_go_on)]
    rng.shuffle(rows)
    write_rows(options.out, rows)
    print(f"{len(rows):,} rows")


def _look_ups(texts: Sequence[Any], tokenizer: TextTokenizer, seed: int, rng: Random) -> Iterator[SearchedRow]:
    """Conversations about facts, of short and of longer documents in turn."""
    kinds = read_kinds(Path(__file__).parent / "kinds")
    streams = [
        generate_tasks(texts, _settings(length, others, tokenizer, kinds), seed + length)
        for length, others in _DOCUMENTS
    ]
    while True:
        for stream in streams:
            tasks = list(islice(stream, _QUESTIONS))
            while tasks:
                some = [tasks.pop() for _ in range(min(len(tasks), rng.randint(1, _QUESTIONS)))]
                if row := _searched(some, tokenizer):
                    yield row


def _settings(length: int, others: int, tokenizer: TextTokenizer, kinds: tuple[FactKind, ...]) -> TaskSettings:
    return TaskSettings(
        length=length,
        count_tokens=tokenizer.count,
        questions_per_set=_QUESTIONS,
        forms=_FORMS,
        further_kinds=kinds,
        distractors=others,
    )


def _searched(tasks: Sequence[Task], tokenizer: TextTokenizer) -> SearchedRow | None:
    """A row with what the search finds, and the questions that it answers."""
    documents = [Document(one["text"], id=one["id"]) for one in tasks[0].documents]
    library = make_library(documents, tokenizer, SharedLLMConfig(injection_layers=1))
    asked = " ".join(task.question for task in tasks)
    found = find_passages(asked, library, tokenizer, max(_FEWEST_TOKENS, _TOKENS_PER_QUESTION * len(tasks)))
    turns = [
        {"question": task.question, "answer": task.answer}
        for task in tasks
        if all(_stands_in(spot, found) for spot in task.evidence)
    ]
    if not turns or not found:
        return None
    row = {"documents": passage_documents(found, library), "turns": turns}
    return row, searched_documents(library, tokenizer, _FEWEST_TOKENS)


def _stands_in(spot: Evidence, passages: Sequence[Passage]) -> bool:
    return any(
        one.document_id == spot["document"] and one.start <= spot["start"] and spot["end"] <= one.end
        for one in passages
    )


def _going_on(texts: Sequence[Any], rng: Random) -> Iterator[dict[str, Any]]:
    """Texts with what comes next."""
    while True:
        text = rng.choice(texts)["text"]
        start = rng.randrange(max(1, len(text) - 2 * _CHARACTERS))
        border = start + _CHARACTERS
        if (before := text[start:border].strip()) and (after := text[border : border + _CHARACTERS].strip()):
            yield {"documents": [before], "question": rng.choice(_GO_ON), "answer": after}


if __name__ == "__main__":
    main()
