"""Rows for `sharedllm train` from questions about real documents: whole documents, a few questions about each.

    python examples/default_model/real_questions.py squad_articles.jsonl@12: covid_papers.jsonl@1::2 --out rows.jsonl

Files are those of `sharedllm eval --qa`: a set of documents with its questions a line, or an article of SQuAD. Behind
`@` stands which lines are used, as a slice, so that others remain to be measured on.

One row asks one to three questions about one document. Some questions are about another document of the same file, and
their answer is that the documents do not say; so is that of questions without answers.
"""

import argparse
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sharedllm_core.evaluation.json_lines import rows_of

REFUSAL = "The documents do not say."
_MOST_TURNS = 3
_MOST_ANSWER_CHARACTERS = 400


@dataclass(frozen=True)
class Asked:
    """A document and its questions, each with the answer to learn."""

    title: str
    text: str
    questions: tuple[tuple[str, str], ...]


def main() -> None:
    """Write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="files of questions, each with @SLICE of its lines")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=6000, help="at most so many of a file")
    parser.add_argument("--elsewhere", type=float, default=0.12, help="share of questions about another document")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)  # noqa: S311 (no secret)
    rows = [row for file in options.files for row in rows_of_file(file, options.questions, options.elsewhere, chance)]
    chance.shuffle(rows)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    print(f"{len(rows):,} rows, {sum(len(row['turns']) for row in rows):,} questions")


def rows_of_file(file: str, most: int, elsewhere: float, chance: random.Random) -> Iterator[dict[str, Any]]:
    """The rows of one file, at most so many questions."""
    path, _, lines = file.partition("@")
    parts = [int(part) if part else None for part in (lines or ":").split(":")]
    documents = [one for row in list(rows_of(Path(path)))[slice(*parts)] for one in asked_in(row[1])]
    answerable = [one for one in documents if any(answer != REFUSAL for _, answer in one.questions)]
    share = min(1.0, most / max(1, sum(len(one.questions) for one in documents)))
    for one in documents:
        questions = chance.sample(one.questions, max(1, round(share * len(one.questions))))
        while questions:
            taken, questions = questions[: (count := chance.randint(1, _MOST_TURNS))], questions[count:]
            turns = [
                foreign(chance.choice(answerable), one, chance) if chance.random() < elsewhere else pair
                for pair in taken
            ]
            yield {
                "documents": [{"title": one.title, "text": one.text}],
                "turns": [{"question": question, "answer": answer} for question, answer in turns],
            }


def foreign(other: Asked, own: Asked, chance: random.Random) -> tuple[str, str]:
    """A question about another document, and what is to be said of it; the other's own answer if it is the same."""
    question, answer = chance.choice(other.questions)
    return (question, answer if other is own else REFUSAL)


def asked_in(row: dict[str, Any]) -> Iterator[Asked]:
    """The documents of a line with their questions; those without questions are left out."""
    if "paragraphs" in row:
        pairs = [(one["question"], shortest(one["answers"])) for part in row["paragraphs"] for one in part["qas"]]
        text = "\n\n".join(part["context"] for part in row["paragraphs"])
        yield Asked(row["title"].replace("_", " "), text, tuple(pairs))
        return
    for document in row["documents"]:
        pairs = [
            (one["question"], shortest(one["answers"]))
            for one in row["questions"]
            if one.get("document") in (None, document["id"])
        ]
        kept = tuple(pair for pair in pairs if len(pair[1]) <= _MOST_ANSWER_CHARACTERS)
        if kept:
            yield Asked(document.get("title") or document["id"], document["text"], kept)


def shortest(answers: list[Any]) -> str:
    """The shortest of the accepted answers; that the documents do not say, where there is none."""
    texts = [answer["text"] if isinstance(answer, dict) else answer for answer in answers]
    return min(texts, key=len).strip() if texts else REFUSAL


if __name__ == "__main__":
    main()
