"""Questions about what technical documents state: "The `probe` field sets the interval." asks in both directions.

They are made from sentences of the form *subject, verb, rest*, and teach the language of manuals, about which the data
that may be trained on have no questions of people.
"""

import re
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from row_files import SearchedRow, passage_documents, searched_documents

from sharedllm_core import Document, SharedLLMConfig
from sharedllm_core.text.library import make_library
from sharedllm_core.text.passages import find_passages
from sharedllm_core.text.tokenization import TextTokenizer

__all__ = ["stated_questions", "stated_rows"]

_KINDS = (
    "argument|attribute|class|command|component|controller|decorator|directive|error|exception|field|file|flag|function|"
    "keyword|macro|method|module|object|operator|option|parameter|plugin|property|protocol|service|setting|statement|trait|"
    "type|variable"
)
#: How a verb is asked for, and how the thing that does it.
_VERBS = {
    "returns": "return",
    "raises": "raise",
    "contains": "contain",
    "defines": "define",
    "specifies": "specify",
    "describes": "describe",
    "represents": "represent",
    "provides": "provide",
    "creates": "create",
    "controls": "control",
    "indicates": "indicate",
    "sets": "set",
    "adds": "add",
    "removes": "remove",
    "allows": "allow",
    "requires": "require",
    "accepts": "accept",
    "supports": "support",
    "stores": "store",
    "takes": "take",
    "means": "mean",
}
_STATED = re.compile(
    rf"(?:^|(?<=[.:]\s))(?:The\s+)?(?P<mark>`{{1,2}})(?P<name>\w[^`\s]{{1,40}})(?P=mark)\s+(?:(?P<kind>{_KINDS})\s+)?"
    rf"(?P<verb>{'|'.join(_VERBS)}|is(?=\s+(?:an?|the|used)\s))\s+"
    r"(?P<rest>[^.:;,\n][^.:;,\n]*(?:\n[^.:;,\n]+){0,2})(?=[.,;:]\s|[.,;:]\Z)",
    re.MULTILINE,
)
_REST_CHARACTERS = range(12, 140)
_LIBRARIES = (1, 2, 4)  # documents that are searched together
_BUDGETS = (250, 400, 400, 600)  # tokens of passages
_MOST_TURNS = 5


def stated_questions(text: str) -> list[tuple[str, str, int]]:
    """Return questions, their answers, and the character that the sentence begins at."""
    made = []
    for found in _STATED.finditer(text):
        rest = " ".join(found["rest"].split()).replace("`", "")
        name, verb, kind = found["name"], found["verb"], found["kind"]
        if len(rest) not in _REST_CHARACTERS:
            continue
        subject = f"the {name} {kind}" if kind else name
        asked = f"What is {subject}?" if verb == "is" else f"What does {subject} {_VERBS[verb]}?"
        made.append((asked, rest, found.start()))
        if kind:
            made.append((f"Which {kind} {verb} {rest}?", name, found.start()))
    return made


def stated_rows(texts: Sequence[Any], tokenizer: TextTokenizer, rng: Random) -> Iterator[SearchedRow]:
    """Yield rows of passages that the search finds for one such question, with those that the passages answer."""
    asked = [(one, questions) for one in texts if (questions := stated_questions(one["text"]))]
    while asked:
        some = rng.sample(asked, min(len(asked), rng.choice(_LIBRARIES)))
        documents = [Document(one["text"], id=one["title"], metadata={"title": one["title"]}) for one, _ in some]
        library = make_library(documents, tokenizer, SharedLLMConfig(injection_layers=1))
        one, questions = some[0]
        question = rng.choice(questions)
        found = find_passages(question[0], library, tokenizer, rng.choice(_BUDGETS))
        spans = [(passage.start, passage.end) for passage in found if passage.document_id == one["title"]]
        held = [each for each in questions if any(start <= each[2] < end - len(each[1]) for start, end in spans)]
        by_sentence = {each[2]: each for each in rng.sample(held, len(held))}  # of each sentence one direction
        turns = [{"question": words, "answer": answer} for words, answer, _ in by_sentence.values()]
        rng.shuffle(turns)
        if turns:
            row = {"documents": passage_documents(found, library), "turns": turns[:_MOST_TURNS]}
            yield row, searched_documents(library, tokenizer, rng.choice(_BUDGETS))
