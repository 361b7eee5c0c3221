"""Tables for step 3 of the embedded model: the row tells whose value it is, and the heading what it is.

A sentence has one name and one value. A table has several of either in an order that only its lines and signs tell, and
documents are full of them: lists with commas, tabs or semicolons, and Markdown.
"""

from collections.abc import Callable, Sequence
from random import Random

from any_facts import any_keys, value_maker
from facts import AskedFact

from sharedllm_core.training.tasks import NO_ANSWER

_LISTS = (",", ",", ", ", ";", "\t", " | ", ": ")  # what stands between cells; other tables are Markdown
_MARKDOWN = 0.3  # share of tables
_HEADLESS = 0.15  # share of lists without a heading
_KEY_ELSEWHERE = 0.2  # share of tables whose first column is not the name
_QUESTIONS = (
    "What is the {what} of {key}?",
    "Which {what} does {key} have?",
    "{key}: {what}?",
    "Give the {what} for {key}.",
    "Look up the {what} of {key}.",
    "Which {what} is listed for {key}?",
    "What does the table give as {what} of {key}?",
)
_BARE_QUESTIONS = (
    "What is listed for {key}?",
    "What stands beside {key}?",
    "What does the table say of {key}?",
    "Look up {key}.",
    "{key}?",
)


def tabled_facts(count: int, words: Sequence[str], rng: Random, *, unsaid: float = 0.0) -> list[AskedFact]:
    """Questions about tables of two to five rows; those about one table share its text.

    Args:
        count: how many.
        words: for headings and values.
        rng: for all choices.
        unsaid: how often one question of two tables asks for a name that is in no row.
    """
    facts: list[AskedFact] = []
    while len(facts) < count:
        facts += _asked_of_a_table(words, rng, unsaid)
    return facts[:count]


def _asked_of_a_table(words: Sequence[str], rng: Random, unsaid: float) -> list[AskedFact]:
    keys = _names(words, rng, rng.randint(3, 6))
    missing = keys.pop()
    headings = [" ".join(rng.choice(words) for _ in range(rng.choice((1, 1, 2)))) for _ in range(rng.randint(2, 4))]
    if rng.random() < 0.4:
        headings = [heading.capitalize() for heading in headings]
    columns = [_column(value_maker(words, rng), len(keys)) for _ in headings[1:]]
    named = 0 if rng.random() >= _KEY_ELSEWHERE else len(headings) - 1
    columns.insert(named, keys)
    text, is_headless = _laid_out(headings, list(zip(*columns, strict=True)), rng)
    facts = []
    for row in rng.sample(range(len(keys)), rng.randint(1, 2)):
        column = rng.choice([number for number in range(len(headings)) if number != named])
        question = _question(headings[named], "" if is_headless else headings[column], keys[row], len(headings), rng)
        if question:
            facts.append(AskedFact(text, question, columns[column][row]))
    if facts and rng.random() < unsaid / 2:
        question = _question(headings[named], headings[1 if named == 0 else 0], missing, len(headings), rng)
        facts.append(AskedFact("", question, NO_ANSWER))
    return facts


def _question(named: str, what: str, key: str, columns: int, rng: Random) -> str:
    """About the column `what` of a row; none where there is no heading and more than one column could be meant."""
    if not what and columns > 2:
        return ""
    if rng.random() < 0.3:
        key = f"{named.lower()} {key}"
    bare = not what or (columns == 2 and rng.random() < 0.4)
    return rng.choice(_BARE_QUESTIONS if bare else _QUESTIONS).format(what=what.lower(), key=key)


def _names(words: Sequence[str], rng: Random, count: int) -> list[str]:
    names: dict[str, None] = {}
    while len(names) < count:
        names |= dict.fromkeys(any_keys(words, rng, count - len(names)))
    return list(names)


def _column(make: Callable[[], str], rows: int) -> list[str]:
    """Values of one sort, each of them once."""
    values: dict[str, None] = {}
    while len(values) < rows:
        values[make()] = None
    return list(values)


def _laid_out(headings: Sequence[str], rows: Sequence[Sequence[str]], rng: Random) -> tuple[str, bool]:
    """The table as text, and whether it has no heading; a cell that has the sign between cells stands in quotes."""
    if rng.random() < _MARKDOWN:
        rule = "|" + "|".join("---" for _ in headings) + "|"
        return "\n".join((f"| {' | '.join(headings)} |", rule, *(f"| {' | '.join(row)} |" for row in rows))), False
    between = rng.choice(_LISTS)
    is_headless = rng.random() < _HEADLESS
    lines = rows if is_headless else (headings, *rows)
    quoted = ([f'"{cell}"' if between.strip() and between.strip() in cell else cell for cell in line] for line in lines)
    return "\n".join(between.join(line) for line in quoted), is_headless
