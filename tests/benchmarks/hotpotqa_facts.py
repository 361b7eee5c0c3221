"""Add to HotpotQA's questions the two sentences that each needs, as far as they can be inferred.

    python tests/benchmarks/hotpotqa_facts.py hotpotqa.jsonl.xz > with_facts.jsonl

The file has ten passages for each question, in the order of the questions, and does not say which two are needed. They
are inferred from a question's own passages: two whose titles the question names; or one with the answer and one other,
of which one names the other by its title, if there is only one such pair. Other questions get no facts. The sentence of
a passage is the first with the answer, else the first that names the other passage, else its first.
"""

import json
import re
import sys
from pathlib import Path

from sharedllm_core.evaluation.json_lines import rows_of
from sharedllm_core.text.sentences import sentences_of

_NEAR = 14  # passages before and after a question's own ten: equal passages of several questions stand once


def folded(text):
    return " ".join(text.casefold().split())


def short_title(document):
    return folded(re.sub(r"\s*\(.*?\)", "", document["title"]))


def needed_pair(question, documents, near):
    """The numbers of the two passages that a question needs, or `None`."""
    answers = [folded(answer) for answer in question["answers"]]
    named = [number for number in near if short_title(documents[number]) in folded(question["question"])]
    if len(named) == 2:
        return tuple(named)
    if answers[0] in ("yes", "no"):
        return None
    pairs = set()
    for one in near:
        title, text = short_title(documents[one]), folded(documents[one]["text"])
        if not any(answer in text or answer == title for answer in answers):
            continue
        for other in near:
            if one != other and (title in folded(documents[other]["text"]) or short_title(documents[other]) in text):
                pairs.add(tuple(sorted((one, other))))
    return pairs.pop() if len(pairs) == 1 else None


def needed_sentence(question, document, other):
    answers = [folded(answer) for answer in question["answers"] if folded(answer) not in ("yes", "no")]
    sentences = [document["text"][start:end] for start, end in sentences_of(document["text"])]
    with_answer = (text for text in sentences if any(answer in folded(text) for answer in answers))
    naming = (text for text in sentences if short_title(other) in folded(text))
    return next(with_answer, None) or next(naming, None) or sentences[0]


def with_facts(row):
    documents, questions = row["documents"], row["questions"]
    for number, question in enumerate(questions):
        first = int(number * len(documents) / len(questions)) - _NEAR
        last = int((number + 1) * len(documents) / len(questions)) + _NEAR
        near = range(max(0, first), min(len(documents), last))
        if pair := needed_pair(question, documents, near):
            one, other = (documents[place] for place in pair)
            question["facts"] = [needed_sentence(question, one, other), needed_sentence(question, other, one)]
    return row


if __name__ == "__main__":
    for _, line in rows_of(Path(sys.argv[1])):
        print(json.dumps(with_facts(line), ensure_ascii=False))
