"""How many batches of each sort step 3 of the embedded model reads, and what they are like: see `rows.py`."""

from dataclasses import dataclass

__all__ = ["Documents", "Plain", "Sentences"]


@dataclass(frozen=True)
class Sentences:
    """Rows of a few sentences.

    Attributes:
        rows: of a batch.
        facts: in each.
        written, made_up, framed, blank, tabled: shares of rows with facts of these sorts; others have the generator's
            kinds.
        unsaid: how often one question of a row asks in vain.
        alone: share of batches in which each question is asked alone, and not one after another in a conversation.
        several, chained, structured: shares of batches about things with several values, with questions that take two
            facts, and with answers in JSON; these are always asked alone, and there are half as many rows in a batch,
            or a quarter with JSON, as they are longer.
        longest: tokens of a question with its answer, where each is asked alone; rows with longer ones are drawn again,
            so that a batch is not filled up for the sake of a few. 0 for any.
    """

    rows: int = 16
    facts: int = 6
    written: float = 0.0
    made_up: float = 0.35
    framed: float = 0.0
    blank: float = 0.0
    tabled: float = 0.0
    unsaid: float = 0.33
    alone: float = 0.0
    several: float = 0.0
    chained: float = 0.0
    structured: float = 0.0
    longest: int = 0


@dataclass(frozen=True)
class Documents:
    """Sets of documents.

    Attributes:
        share: of batches, from `from_step` on.
        rows: sets of a batch.
        lengths: tokens of a set; drawn for each batch.
        questions: about a set.
        forms, distractors: of generated tasks, see `TaskSettings`.
        planted: share of batches with facts of any shape, like those of sentences, in place of generated tasks.
        written: whether generated tasks are also about written kinds.
        alone: as for sentences; questions about selected documents are always asked alone.
        others: of how many other questions' nodes, at most, a view also sees the states; in half of the batches.
        structured: share of batches of tool calls and JSON, where `forms` has them.
        min_states: `min_injected_states` for selected documents, one is drawn for each set.
        chunks: `chunk_tokens`, one is drawn for each batch; none for the model's. In a short set of small chunks, facts
            are as often in different ones as in a long set.
    """

    share: float = 0.4
    from_step: int = 0
    rows: int = 8
    lengths: tuple[int, ...] = (600, 800, 500)
    questions: int = 5
    forms: tuple[str, ...] = ("single",)
    distractors: int = 1
    planted: float = 0.0
    written: bool = False
    alone: float = 0.0
    others: int = 0
    structured: float = 0.1
    min_states: tuple[int, ...] = (512,)
    chunks: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plain:
    """Text whose every token is to be predicted from those before it.

    Attributes:
        share: of batches.
        rows: texts of a batch.
        past: tokens of the past context, drawn for each batch.
        running: tokens of the running text.
        weight: of the loss, which is far larger than that of answers.
    """

    share: float = 0.0
    rows: int = 16
    past: tuple[int, ...] = (256, 512, 1024)
    running: int = 512
    weight: float = 0.2
