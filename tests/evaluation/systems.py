"""Systems that must score everything, nothing, or what chance gives; inputs of measurements; a run to be killed."""

import json
import math
import random
import sys
import time
from pathlib import Path

import torch

from sharedllm_core import DeviceMemoryError, Evidence
from sharedllm_core.evaluation.lookup import Lookup
from sharedllm_core.evaluation.needle import Needle
from sharedllm_core.evaluation.report import write_report
from sharedllm_core.evaluation.run import run
from sharedllm_core.evaluation.settings import EvaluationSettings
from sharedllm_core.evaluation.system import System
from sharedllm_core.text.tokenization import TextTokenizer
from tests import tiny_engine

TOKENIZER = TextTokenizer(tiny_engine.tokenizer())
VOCABULARY = len(tiny_engine.tokenizer())


def settings(**changes):
    sizes = {"lengths": (600, 1_200), "items": 3, "questions_per_item": 2, "depths": (0.0, 0.5, 1.0)}
    return EvaluationSettings(**{"tokenizer": TOKENIZER, "target_tokens": 100, **sizes, **changes})


class Oracle(System):
    """Knows the expected answers of all items of a measurement, and every next token."""

    name = "oracle"

    def __init__(self, measurement, chosen, joined=True):
        self.known = {}
        for item in measurement.items(chosen):
            for question in item.questions:
                text = ", ".join(question.expected) if joined else question.expected[-1]
                self.known[self.key(item.documents, question.text)] = text

    @staticmethod
    def key(documents, question):
        return hash((*(document.text for document in documents), question))

    def answers(self, documents, questions, max_new_tokens):
        return [self.known[self.key(documents, question)] for question in questions]

    def losses(self, past_ids, target_ids):
        return torch.zeros(len(target_ids))


class Citing(Oracle):
    """Names a span for each answer: the fact, widened by some characters on each side and moved by some more."""

    name = "citing"

    def __init__(self, measurement, chosen, widened=0, moved=0):
        super().__init__(measurement, chosen)
        self.widened, self.moved = widened, moved
        self.facts = {
            self.key(item.documents, question.text): question.facts
            for item in measurement.items(chosen)
            for question in item.questions
        }

    def cited_answers(self, documents, questions, max_new_tokens):
        return [(self.known[key], self.spans(key)) for key in (self.key(documents, asked) for asked in questions)]

    def spans(self, key):
        return tuple(
            Evidence(document, max(0, start - self.widened + self.moved), end + self.widened + self.moved, "", 1.0)
            for document, start, end in self.facts[key]
        )


class Silent(System):
    """Says nothing, and finds every token of the vocabulary equally likely."""

    name = "silent"

    def answers(self, documents, questions, max_new_tokens):
        return [""] * len(questions)

    def losses(self, past_ids, target_ids):
        return torch.full((len(target_ids),), math.log(VOCABULARY))


class Wrong(Silent):
    name = "wrong"

    def answers(self, documents, questions, max_new_tokens):
        return ["zzz 0"] * len(questions)


class Forgetful(Silent):
    """Has memory for short documents alone."""

    name = "forgetful"

    def answers(self, documents, questions, max_new_tokens):
        if sum(TOKENIZER.count(document.text) for document in documents) > 900:
            raise DeviceMemoryError("too much")
        return super().answers(documents, questions, max_new_tokens)


class Guessing(System):
    """Right half of the time, by a hash that is the same in every process; slow on demand."""

    name = "guessing"

    def __init__(self, oracle, seconds=0.0):
        self.oracle = oracle
        self.seconds = seconds

    def answers(self, documents, questions, max_new_tokens):
        time.sleep(self.seconds)
        right = self.oracle.answers(documents, questions, max_new_tokens)
        return [
            text if random.Random(question).random() < 0.5 else ""
            for text, question in zip(right, questions, strict=True)
        ]

    def losses(self, past_ids, target_ids):
        raise NotImplementedError


def long_texts(folder, count=2, words=4_000):
    path = folder / "texts.jsonl"
    rows = [{"title": f"text {n}", "text": tiny_engine.words(words, seed=n)} for n in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def squad_file(folder, articles=8, paragraphs=6):
    path = folder / "squad.jsonl"
    rows = []
    for article in range(articles):
        made = []
        for number in range(paragraphs):
            name = f"harbour {article} clause {number}"
            words = tiny_engine.words(60, seed=article * 100 + number)
            qas = [{"question": f"What holds {name}?", "answers": [f"The ledger {article}-{number}", "ledger"]}]
            made.append({"context": f"{words} In {name}, the ledger {article}-{number} is kept.", "qas": qas})
        rows.append({"title": f"article {article}", "paragraphs": made})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def slow_run(folder, seconds):
    """Measure look-ups and needles, some seconds for each item."""
    chosen = settings(items=4)
    for measurement in (Lookup(), Needle()):
        guessing = Guessing(Oracle(measurement, chosen), seconds)
        run([measurement], [Silent(), guessing], chosen, Path(folder))
    return write_report(Path(folder), plots=False)


if __name__ == "__main__":
    slow_run(sys.argv[1], float(sys.argv[2]))
