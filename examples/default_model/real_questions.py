"""Rows for `sharedllm train` from questions about real documents: what the search finds, and what can be asked of it.

    python examples/default_model/real_questions.py squad_articles.jsonl@12: covid_papers.jsonl@1::2 --out rows.jsonl

Files are those of `sharedllm eval --qa`: a set of documents with its questions a line, or an article of SQuAD. Behind
`@` stands which lines are used, as a slice, so that others remain to be measured on.

One question is looked for in a few documents, as the engine does it; a row has the passages that it found and up to ten
questions about them. Questions about the same documents whose answers are elsewhere are answered by "The documents do
not say.". Now and then the sentence with the answer is asked for, or the answer as JSON.
"""

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from qa_files import AskedDocument, AskedQuestion, asked_documents
from row_files import passage_documents, write_rows

from sharedllm_core import Document, SharedLLMConfig
from sharedllm_core.engine.loading import load_tokenizer_from
from sharedllm_core.engine.model_names import checkpoint_location
from sharedllm_core.text.library import make_library
from sharedllm_core.text.passages import Passage, find_passages
from sharedllm_core.text.tokenization import TextTokenizer
from sharedllm_core.training.tasks import NO_ANSWER

_MOST_TURNS = 10
_LIBRARIES = (1, 2, 4, 6)  # documents that are searched together
_BUDGETS = (250, 400, 400, 400, 600, 900)  # tokens of passages
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_AS_SENTENCE = ("Answer in a whole sentence.", "Quote the sentence that says it.", "Write a full sentence.")
_AS_JSON = ('Answer as JSON: {"answer": …}', "Reply with a JSON object that has the field answer.")


def main() -> None:
    """Write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="files of questions, each with @SLICE of its lines")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=1000, help="at most so many")
    parser.add_argument("--base", default="smollm2", help="whose tokens are counted")
    parser.add_argument("--not-said", type=float, default=0.12, help="share of questions that passages do not answer")
    parser.add_argument("--single", type=float, default=0.4, help="share kept of rows with one question")
    parser.add_argument("--formats", type=float, default=0.06, help="share of answers as sentences or JSON")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = Random(options.seed)  # noqa: S311 (no secret)
    tokenizer = TextTokenizer(load_tokenizer_from([checkpoint_location(options.base)]))
    documents = [list(asked_documents(file)) for file in options.files]
    rows = [row for of_file in documents for row in _rows_of_file(of_file, tokenizer, options, rng)]
    rng.shuffle(rows)
    rows = rows[: options.rows]
    write_rows(options.out, rows)
    turns = [turn for row in rows for turn in row["turns"]]
    not_said = sum(turn["answer"] == NO_ANSWER for turn in turns)
    print(f"{len(rows):,} rows, {len(turns):,} questions, {not_said:,} of them not answered by the passages")


def _rows_of_file(
    documents: list[AskedDocument], tokenizer: TextTokenizer, options: argparse.Namespace, rng: Random
) -> Iterator[dict[str, Any]]:
    rng.shuffle(documents)
    while documents:
        count = rng.choice(_LIBRARIES)
        some, documents = documents[:count], documents[count:]
        yield from _rows_of_library(some, tokenizer, options, rng)


def _rows_of_library(
    documents: Sequence[AskedDocument], tokenizer: TextTokenizer, options: argparse.Namespace, rng: Random
) -> Iterator[dict[str, Any]]:
    """Rows until every question of the documents was asked, or looked for in vain."""
    given = [Document(one.text, id=one.id, metadata={"title": one.title}) for one in documents]
    library = make_library(given, tokenizer, SharedLLMConfig(injection_layers=1))
    waiting = [question for one in documents for question in one.questions]
    rng.shuffle(waiting)
    while waiting:
        first = waiting.pop()
        found = find_passages(first.question, library, tokenizer, rng.choice(_BUDGETS))
        answered = [one for one in (first, *waiting) if one.is_answered_by(found)][:_MOST_TURNS]
        turns = [_turn(one, found, options, rng) for one in answered]
        if first not in answered and rng.random() < 0.5:
            turns += _not_said([first], found)
        if answered and rng.random() < options.not_said * (len(turns) + 1):
            seen = {one.document_id for one in found}
            elsewhere = [one for one in waiting if one.document_id in seen and one not in answered]
            turns += _not_said(rng.sample(elsewhere, min(1, len(elsewhere))), found)
        taken = {id(one) for one in answered}
        waiting = [one for one in waiting if id(one) not in taken]
        rng.shuffle(turns)
        if not found:
            continue
        if len(turns) > 1 or (turns and rng.random() < options.single):
            yield {"documents": passage_documents(found, library), "turns": turns}


def _not_said(questions: Sequence[AskedQuestion], found: Sequence[Passage]) -> list[dict[str, str]]:
    """Turns for questions of which the passages say nothing, not even the words of their answers.

    Where an answer is not in the document word for word, passages may answer the question in other words.
    """
    text = " ".join(one.text.lower() for one in found)
    known = [one for one in questions if one.is_literal or one.answer == NO_ANSWER]
    return [{"question": one.question, "answer": NO_ANSWER} for one in known if one.answer.lower() not in text]


def _turn(asked: AskedQuestion, found: Sequence[Passage], options: argparse.Namespace, rng: Random) -> dict[str, str]:
    question, answer = asked.question, asked.answer
    if rng.random() < options.formats:
        if rng.random() < 0.5:
            whole = json.dumps({"answer": answer}, ensure_ascii=False)
            return {"question": f"{question} {rng.choice(_AS_JSON)}", "answer": whole}
        sentences = [one for passage in found for one in _SENTENCE_END.split(passage.text) if answer in one]
        if len(sentences) == 1 and len(sentences[0]) < 400:
            return {"question": f"{question} {rng.choice(_AS_SENTENCE)}", "answer": sentences[0].strip()}
    return {"question": question, "answer": answer}


if __name__ == "__main__":
    main()
