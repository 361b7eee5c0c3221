"""Rows for `sharedllm train` from questions about real documents: a few short passages, many questions about them.

    python examples/default_model/real_questions.py squad_articles.jsonl@12: covid_papers.jsonl@1::2 --out rows.jsonl

Files are those of `sharedllm eval --qa`: a set of documents with its questions a line, or an article of SQuAD. Behind
`@` stands which lines are used, as a slice, so that others remain to be measured on.

Documents are cut into passages, and a question belongs to the one with its answer. A row has passages with questions,
others beside them, and up to ten questions; one question in twenty is about something else, and its answer is that the
documents do not say. Now and then the sentence with the answer is asked for, or the answer as JSON.
"""

import argparse
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from row_files import write_rows

from sharedllm_core.evaluation.json_lines import rows_of
from sharedllm_core.training.tasks import NO_ANSWER

_WORDS_PER_PASSAGE = 130
_MOST_TURNS = 10
_ENOUGH_QUESTIONS = 5  # of a row, where its document has so many
_MOST_ASKED_PASSAGES = 4
_MOST_ANSWER_CHARACTERS = 240
_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_AS_SENTENCE = ("Answer in a whole sentence.", "Quote the sentence that says it.", "Write a full sentence.")
_AS_JSON = ('Answer as JSON: {"answer": …}', "Reply with a JSON object that has the field answer.")


@dataclass
class Passage:
    """A piece of a document, and the questions that it answers."""

    title: str
    text: str
    questions: list[tuple[str, str]] = field(default_factory=list)


def main() -> None:
    """Write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="files of questions, each with @SLICE of its lines")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=6000, help="at most so many of a file")
    parser.add_argument("--elsewhere", type=float, default=0.05, help="share of questions about something else")
    parser.add_argument("--formats", type=float, default=0.06, help="share of answers as sentences or JSON")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = Random(options.seed)  # noqa: S311 (no secret)
    passages = [list(passages_of(file, options.questions, rng)) for file in options.files]
    everything = [passage for of_file in passages for passage in of_file]
    rows = [row for of_file in passages for row in rows_of_file(of_file, everything, options, rng)]
    rng.shuffle(rows)
    write_rows(options.out, rows)
    print(f"{len(rows):,} rows, {sum(len(row['turns']) for row in rows):,} questions")


def rows_of_file(
    passages: Sequence[Passage], everything: Sequence[Passage], options: argparse.Namespace, rng: Random
) -> Iterator[dict[str, Any]]:
    """A few passages of a document with their questions, and others beside them, most of them of the same document."""
    of_title = defaultdict(list)
    for passage in passages:
        of_title[passage.title].append(passage)
    waiting = [passage for passage in passages if passage.questions]
    while waiting:
        asked, waiting = waiting[:1], waiting[1:]
        while (
            waiting
            and waiting[0].title == asked[0].title
            and len(asked) < _MOST_ASKED_PASSAGES
            and sum(len(passage.questions) for passage in asked) < _ENOUGH_QUESTIONS
        ):
            asked.append(waiting.pop(0))
        pairs = [pair for passage in asked for pair in passage.questions]
        rng.shuffle(pairs)
        while pairs:
            count = 1 if rng.random() < 0.15 else _MOST_TURNS
            taken, pairs = pairs[:count], pairs[count:]
            others = [
                rng.choice(of_title[asked[0].title] if rng.random() < 0.6 else everything)
                for _ in range(max(0, rng.choice((1, 2, 2, 3, 4)) - len(asked)))
            ]
            seen = list({passage.text: passage for passage in (*asked, *others)}.values())
            rng.shuffle(seen)
            yield {
                "documents": [{"title": passage.title, "text": passage.text} for passage in seen],
                "turns": [_turn(pair, seen, everything, options, rng) for pair in taken],
            }


def _turn(
    pair: tuple[str, str],
    seen: Sequence[Passage],
    everything: Sequence[Passage],
    options: argparse.Namespace,
    rng: Random,
) -> dict[str, str]:
    question, answer = pair
    if rng.random() < options.elsewhere:
        other = rng.choice(everything)
        if other.questions and other.title not in {passage.title for passage in seen}:
            return {"question": rng.choice(other.questions)[0], "answer": NO_ANSWER}
    if answer != NO_ANSWER and rng.random() < options.formats:
        if rng.random() < 0.5:
            whole = json.dumps({"answer": answer}, ensure_ascii=False)
            return {"question": f"{question} {rng.choice(_AS_JSON)}", "answer": whole}
        sentences = [one for passage in seen for one in _SENTENCE_END.split(passage.text) if answer in one]
        if len(sentences) == 1 and len(sentences[0]) < 2 * _MOST_ANSWER_CHARACTERS:
            return {"question": f"{question} {rng.choice(_AS_SENTENCE)}", "answer": sentences[0].strip()}
    return {"question": question, "answer": answer}


def passages_of(file: str, most: int, rng: Random) -> Iterator[Passage]:
    """The passages of a file's lines, with at most so many questions."""
    path, _, lines = file.partition("@")
    parts = [int(part) if part else None for part in (lines or ":").split(":")]
    documents = [one for row in list(rows_of(Path(path)))[slice(*parts)] for one in _documents(row[1])]
    found = [passages for title, texts, pairs in documents for passages in _with_questions(title, texts, pairs)]
    share = min(1.0, most / max(1, sum(len(passage.questions) for passage in found)))
    for passage in found:
        passage.questions = [pair for pair in passage.questions if rng.random() < share]
        yield passage


def _documents(row: dict[str, Any]) -> Iterator[tuple[str, list[str], list[tuple[str, list[str]]]]]:
    """Title, passages, and questions with their accepted answers, of each document of a line."""
    if "paragraphs" in row:
        for part in row["paragraphs"]:
            pairs = [(one["question"], _texts(one["answers"])) for one in part["qas"]]
            yield row["title"].replace("_", " "), [part["context"]], pairs
        return
    for document in row["documents"]:
        asked = [one for one in row["questions"] if one.get("document") in (None, document["id"])]
        pairs = [(one["question"], _texts(one["answers"])) for one in asked]
        yield document.get("title") or document["id"], list(cut(document["text"])), pairs


def _texts(answers: Sequence[Any]) -> list[str]:
    return [(answer["text"] if isinstance(answer, dict) else answer).strip() for answer in answers]


def cut(text: str) -> Iterator[str]:
    """Cut a text into passages of whole sentences, of some 130 words."""
    passage: list[str] = []
    words = 0
    for sentence in _SENTENCE_END.split(text):
        count = len(sentence.split())
        if passage and words + count > _WORDS_PER_PASSAGE:
            yield " ".join(passage)
            passage, words = [], 0
        passage.append(sentence)
        words += count
    if passage:
        yield " ".join(passage)


def _with_questions(title: str, texts: Sequence[str], pairs: Sequence[tuple[str, list[str]]]) -> list[Passage]:
    """Passages with the questions that they answer: the answer stands there, or nearly all of its words do."""
    passages = [Passage(title, text) for text in texts]
    words = [set(_words(text)) for text in texts]
    of_document = Counter(word for some in words for word in some)
    for question, answers in pairs:
        answer = min(answers, key=len) if answers else NO_ANSWER
        if len(answer) > _MOST_ANSWER_CHARACTERS:
            continue
        if not answers:
            passages[0].questions.append((question, NO_ANSWER))
            continue
        rare = {word: 1 / of_document[word] for word in set(_words(question)) if of_document[word]}
        of_answer = set(_words(answer))

        def score(at: int, answer: str = answer, rare: dict[str, float] = rare, own: set[str] = of_answer) -> float:
            held = 1.0 if answer in passages[at].text else len(own & words[at]) / max(1, len(own))
            return 2 * held + sum(rare[word] for word in rare.keys() & words[at]) / max(1e-9, sum(rare.values()))

        best = max(range(len(texts)), key=score)
        if answer in texts[best] or len(of_answer & words[best]) >= 0.75 * len(of_answer):
            passages[best].questions.append((question, answer))
    return passages


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


if __name__ == "__main__":
    main()
