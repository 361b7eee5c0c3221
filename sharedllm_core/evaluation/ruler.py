"""RULER: its task families, made anew from the published definitions, and its metric.

Keys, texts and wordings are this library's own, and no worked example stands before a question, so figures compare
systems here and are not those of the published tables. `qa_1` is made from SQuAD; `qa_2` needs a data set (HotpotQA)
that is not read here.
"""

from collections.abc import Iterator, Sequence
from random import Random

from .. import Document
from ..training.tasks import Text
from ..training.tasks.haystack import pools_of_texts
from ..training.tasks.seeding import generator
from .matching import share_of_all, some_found
from .measurement import Item, Question, QuestionMeasurement, Scores
from .ruler_needles import NEEDLES, needles
from .ruler_other import common_words, frequent_words, question_answering, variable_tracking
from .settings import EvaluationSettings
from .squad import Article, check_size, read_articles

__all__ = ["FAMILIES", "Ruler"]

#: Family → tokens of an answer, as RULER publishes them; an answer that needs more in a tokenizer has more.
FAMILIES: dict[str, int] = dict.fromkeys(NEEDLES, 128) | {"vt": 30, "cwe": 120, "fwe": 50, "qa_1": 32}
_SPARE_TOKENS = 8


class Ruler(QuestionMeasurement):
    """Needles (eight families), variable tracking, common and frequent words; questions if there is a SQuAD file.

    `match` is the share of the expected strings that the answer has, in any case; for question answering, whether it
    has one.
    """

    name = "ruler"

    def items(self, settings: EvaluationSettings) -> Iterator[Item]:
        """See `Measurement`."""
        articles = read_articles(settings.squad) if settings.squad else []
        if articles:
            check_size(articles, settings)
        for length in settings.lengths:
            for family, tokens in FAMILIES.items():
                if family == "qa_1" and not articles:
                    continue
                pools = pools_of_texts(settings.surroundings, 0)
                for number in range(settings.items):
                    rng = generator(settings.seed, "ruler", family, length, number)
                    documents, question = _made(family, settings, articles, length, pools, rng)
                    needed = settings.count(", ".join(question.expected)) + _SPARE_TOKENS
                    yield Item(
                        id=f"{family}-length-{length}-{number}",
                        labels={"length": length, "family": family},
                        documents=documents,
                        questions=[question],
                        max_new_tokens=max(tokens, needed) if family != "qa_1" else tokens,
                    )

    def score(self, item: Item, answers: Sequence[str]) -> list[Scores]:
        """See `QuestionMeasurement`."""
        match = some_found if item.labels["family"] == "qa_1" else share_of_all
        return [
            {"match": match(answer, question.expected)}
            for question, answer in zip(item.questions, answers, strict=True)
        ]


def _made(
    family: str,
    settings: EvaluationSettings,
    articles: Sequence[Article],
    length: int,
    pools: Iterator[Sequence[Text]],
    rng: Random,
) -> tuple[list[Document], Question]:
    if family in NEEDLES:
        needs_texts = NEEDLES[family].haystack == "texts"
        return needles(NEEDLES[family], settings, length, next(pools) if needs_texts else (), rng)
    if family == "qa_1":
        return question_answering(settings, articles, length, rng)
    made = {"vt": variable_tracking, "cwe": common_words, "fwe": frequent_words}[family]
    return made(settings, length, rng)
