"""What step 3 of the embedded model reads: batches of four sorts, each a function of its number alone.

*Sentences* are a few lines full of facts (`facts.py`, `any_facts.py`): there finding and copying are learned. *Opened*
documents are real texts with facts between their sentences, generated tasks or facts of any shape, of which every
question sees every leaf. *Selected* ones are longer, and every question sees what it retains when the model answers.
*Plain* text goes on from what stands before it: there it is learned which words belong together.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from random import Random
from typing import Any

from any_facts import blanks, framed_facts
from chained_facts import chained_facts
from facts import UNNAMED, AskedFact, common_words, made_up_facts, stated_facts
from reading import ReadBatch, Reading, collate, continued, opened, selected, spots
from row_settings import Documents, Plain, Sentences
from several_facts import several_facts
from structured_facts import structured_facts
from tabled_facts import tabled_facts
from torch.utils.data import Dataset
from written_kinds import written_kinds

from sharedllm_core import ConfigError, SharedLLMConfig
from sharedllm_core.text.tokenization import TextTokenizer
from sharedllm_core.training.items import Turn
from sharedllm_core.training.tasks import KINDS, NO_ANSWER, TaskSettings, generate_tasks, read_texts
from sharedllm_core.training.tasks.forms.reasoning import linked
from sharedllm_core.training.tasks.haystack import compose
from sharedllm_core.training.tasks.phrasing import for_training
from sharedllm_core.training.tasks.placement import place

__all__ = ["Rows"]

_STRUCTURED = ("tool_call", "json")  # long questions, in batches of their own
_TRIES = 20  # for a row without long questions
_CHARACTERS_A_TOKEN = 6  # more than text has
_OF_THE_WHOLE = ("counting",)  # wrong answers, once the documents of other questions are seen, too


class Rows(Dataset[tuple[str, ReadBatch]]):
    """Batches of all sorts; batch n is the same whenever it is asked for.

    Args:
        texts: files of texts.
        sentences, opened, selected, plain: what batches are like.
        tokenizer, method: of the model.
        steps: how many batches there are.
        seed: for everything.
        chunk_positions: out of how many chunk positions are drawn.
    """

    def __init__(
        self,
        texts: Sequence[str],
        sentences: Sentences,
        opened: Documents,
        selected: Documents,
        plain: Plain,
        tokenizer: TextTokenizer,
        method: SharedLLMConfig,
        *,
        steps: int,
        seed: int,
        chunk_positions: int,
    ) -> None:
        self._texts = list(read_texts(texts))
        self._running = [text["text"] for text in self._texts]
        self._words = common_words(self._running)
        needed = (sentences.written, sentences.several, sentences.chained, sentences.structured)
        self._written = written_kinds() if any((*needed, opened.written, selected.written)) else ()
        generated = [for_training(kind) for kind in KINDS.values() if not kind.held_out]
        self._all_kinds = [*generated, *self._written]
        self._linked = [pair for pair in linked(self._all_kinds) if pair[0] is not pair[1]]
        self._sentences, self._opened, self._selected, self._plain = sentences, opened, selected, plain
        self._tokenizer, self._method = tokenizer, method
        self._steps, self._seed, self._chunk_positions = steps, seed, chunk_positions
        # A chunk of a few sentences is read as one leaf.
        self._sentences_method = replace(
            method.with_policy("right"), chunk_tokens=64, tree_depth=0, compression_ratio=1
        )

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> tuple[str, ReadBatch]:
        """The sort of a batch, and the batch."""
        for again in count():
            try:
                return self._drawn(step, Random(f"{self._seed} {step} {again}"))  # noqa: S311
            except ConfigError:  # facts that need more room than their documents have; other ones will fit
                continue
        raise AssertionError

    def _drawn(self, step: int, rng: Random) -> tuple[str, ReadBatch]:
        drawn = rng.random()
        for sort, settings in (("opened", self._opened), ("selected", self._selected)):
            share = settings.share if step >= settings.from_step else 0
            if drawn < share:
                others = settings.others if rng.random() < 0.5 else 0
                readings = self._documents(sort, settings, rng, others)
                return sort, collate(readings, rng, random_positions=self._chunk_positions, others=others)
            drawn -= share
        if drawn < self._plain.share:
            past = rng.choice(self._plain.past)
            readings = [self._continued(past, rng) for _ in range(self._plain.rows)]
            return "plain", collate(readings, rng, random_positions=self._chunk_positions)
        return self._of_sentences(rng)

    def _continued(self, past: int, rng: Random) -> Reading:
        """A place of a text: so many tokens of past context, and what follows them."""
        wanted = past + self._plain.running
        while True:
            text = rng.choice(self._running)
            start = rng.randrange(max(1, len(text) - _CHARACTERS_A_TOKEN * wanted))
            tokens = self._tokenizer.encode(text[start : start + _CHARACTERS_A_TOKEN * wanted])
            if len(tokens.ids) < wanted:
                continue
            before = text[start : start + int(tokens.offsets[past, 0])]
            return continued(before, tokens.ids[past:wanted], self._tokenizer, self._method)

    # ------------------------------------------------------------------------------------------ sentences

    def _of_sentences(self, rng: Random) -> tuple[str, ReadBatch]:
        shares = self._sentences
        sort = rng.choices(
            ("several", "chained", "structured", "sentences"),
            (
                shares.several,
                shares.chained,
                shares.structured,
                1 - shares.several - shares.chained - shares.structured,
            ),
        )[0]
        if sort == "sentences":
            alone = rng.random() < shares.alone
            readings = [self._of_facts(rng, alone) for _ in range(shares.rows)]
        else:
            rows = max(1, shares.rows // (4 if sort == "structured" else 2))
            readings = [self._asked_apart(sort, rng) for _ in range(rows)]
        return sort, collate(readings, rng, random_positions=self._chunk_positions)

    def _of_facts(self, rng: Random, alone: bool) -> Reading:
        """A conversation about some facts, or each asked alone."""
        longest = self._sentences.longest
        for _ in range(_TRIES):
            facts = self._facts(self._sentences.facts, rng)
            sentences = _texts(facts)
            rng.shuffle(facts)
            reading = self._of([sentences], facts, rng, alone)
            if not (alone and longest) or all(len(text.ids) <= longest for text in reading.views[0].texts):
                break
        return reading

    def _asked_apart(self, sort: str, rng: Random) -> Reading:
        """Sentences, and questions that need none of their own, each asked alone."""
        if sort == "several":
            sentences, asked = several_facts(self._sentences.facts, self._all_kinds, rng)
            # Values in one chunk are at one position, in no order that an answer could follow: so chunks are many.
            return self._of(_shared_out(sentences, rng), asked, rng, alone=True)
        if sort == "chained":
            sentences, asked = chained_facts(self._sentences.facts, self._linked, rng)
        else:
            sentences, asked = structured_facts(self._sentences.facts, self._words, self._all_kinds, rng)
        return self._of([sentences], asked, rng, alone=True)

    def _of(self, documents: Sequence[Sequence[str]], asked: Sequence[AskedFact], rng: Random, alone: bool) -> Reading:
        between = rng.choice(("\n", " ", "\n\n"))
        if between == " " and any("\n" in text for sentences in documents for text in sentences):
            between = "\n"  # a table's last line ends
        texts = [between.join(sentences) for sentences in documents]
        return opened(texts, _conversations(asked, alone), self._tokenizer, self._sentences_method)

    def _facts(self, count: int, rng: Random) -> list[AskedFact]:
        shares = self._sentences
        sorts = {name: getattr(shares, name) for name in ("written", "made_up", "framed", "blank", "tabled")}
        sort = rng.choices([*sorts, "generated"], [*sorts.values(), max(0.0, 1 - sum(sorts.values()))])[0]
        if sort == "generated":
            return stated_facts(count, self._words, rng, unsaid=shares.unsaid)
        if sort == "written":
            # Every wording of these is for training: what is held out are wordings and kinds of the generator.
            return stated_facts(
                count, self._words, rng, kinds=self._written, split="held_out_kind", unsaid=shares.unsaid
            )
        if sort == "tabled":
            return tabled_facts(count, self._words, rng, unsaid=shares.unsaid)
        if sort == "made_up":
            facts = made_up_facts(count, self._words, rng)
        elif sort == "framed":
            facts = framed_facts(count, self._words, rng)
        else:
            facts = blanks(count, self._running, rng)
        # A made-up fact's thing may have others.
        if count > 1 and rng.random() < shares.unsaid * (1 - UNNAMED if sort == "made_up" else 1) / 2:
            facts[0] = AskedFact("", facts[0].question, NO_ANSWER)
        return facts

    # ------------------------------------------------------------------------------------------ documents

    def _documents(self, sort: str, settings: Documents, rng: Random, others: int) -> list[Reading]:
        """Sets of documents with questions about each; a set of which no evidence is retained is left out."""
        alone = sort == "selected" or rng.random() < settings.alone
        length = rng.choice(settings.lengths)
        of_chunks = replace(self._method, chunk_tokens=rng.choice(settings.chunks)) if settings.chunks else self._method
        if rng.random() < settings.planted:
            sets = [self._planted(settings, length, rng) for _ in range(settings.rows)]
        else:
            sets = self._tasks(settings, length, rng, others)
        readings = []
        for texts, turns, evidence in sets:
            if sort == "selected":
                method = replace(of_chunks, min_injected_states=rng.choice(settings.min_states))
                readings.append(selected(texts, turns, evidence, self._tokenizer, method))
            else:
                readings.append(opened(texts, _conversations(turns, alone), self._tokenizer, of_chunks))
        readings = [reading for reading in readings if reading.views]
        if not readings:
            raise ConfigError("no question retains its evidence")
        return readings

    def _tasks(self, settings: Documents, length: int, rng: Random, others: int) -> list[Any]:
        in_structure = rng.random() < settings.structured and set(_STRUCTURED) <= set(settings.forms)
        forms = tuple(form for form in settings.forms if (form in _STRUCTURED) == in_structure)
        task_settings = TaskSettings(
            length=length,
            count_tokens=self._tokenizer.count,
            questions_per_set=settings.questions,
            forms=tuple(form for form in forms if not (others and form in _OF_THE_WHOLE)),
            further_kinds=self._written if settings.written else (),
            distractors=rng.randint(0, settings.distractors),
            passage_characters=(300, 2000),
        )
        wanted = settings.rows * settings.questions
        tasks = list(generate_tasks(self._texts, task_settings, rng.randrange(2**40), count=wanted))
        sets = []
        for first in range(0, wanted, settings.questions):
            asked = tasks[first : first + settings.questions]
            documents = [document["id"] for document in asked[0].documents]
            sets.append(
                (
                    [document["text"] for document in asked[0].documents],
                    [Turn(task.question, task.answer) for task in asked],
                    [spots(task.evidence, documents) for task in asked],
                )
            )
        return sets

    def _planted(self, settings: Documents, length: int, rng: Random) -> Any:
        """Facts of any shape between the sentences of real texts; more of them than are asked for."""
        facts = self._facts(settings.questions, rng) + self._facts(rng.randint(0, settings.questions), rng)
        said = _texts(facts)
        taken = self._tokenizer.count("\n\n".join(said))
        passages = compose(self._texts, rng, max(100, length - taken), self._tokenizer.count, (300, 2000))
        documents, evidence = place(passages, [(text, rng.random()) for text in said], rng)
        names = [document["id"] for document in documents]
        spot_of = {text: spots([spot], names) for text, spot in zip(said, evidence, strict=True)}
        asked = facts[: settings.questions]
        return (
            [document["text"] for document in documents],
            [Turn(fact.question, fact.answer) for fact in asked],
            [spot_of.get(fact.text, []) for fact in asked],
        )


def _texts(facts: Sequence[AskedFact]) -> list[str]:
    """What is said, each once: questions about one table share it."""
    return list(dict.fromkeys(fact.text for fact in facts if fact.text))


def _conversations(asked: Sequence[Any], alone: bool) -> list[list[Turn]]:
    turns = [Turn(one.question, one.answer) for one in asked]
    return [[turn] for turn in turns] if alone else [turns]


def _shared_out(sentences: Sequence[str], rng: Random) -> list[Sequence[str]]:
    """Sentences in their order, as documents of one or two."""
    documents: list[Sequence[str]] = []
    first = 0
    while first < len(sentences):
        count = rng.randint(1, 2)
        documents.append(sentences[first : first + count])
        first += count
    return documents
