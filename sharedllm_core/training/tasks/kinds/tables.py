"""Facts that are mostly rows of tables."""

from .. import pools
from ._kind import FactKind

__all__ = ["KINDS"]

_STOCK = FactKind(
    name="stock",
    key=pools.PART,
    value=pools.UNITS,
    facts=(
        "| Part | In stock |\n|---|---|\n| {key} | {value} |\n| {key2} | {value2} |\n| {key3} | {value3} |",
        "| Part | In stock |\n|---|---|\n| {key2} | {value2} |\n| {key3} | {value3} |\n| {key} | {value} |",
        "There are {value} pieces of part {key} in stock.",
        "part;stock\n{key2};{value2}\n{key};{value}\n{key3};{value3}",
        "The count of part {key} came to {value} pieces.",
        "Of part {key} we hold {value}.",
        "Stock of {key}: {value} pieces.",
        "The bins for part {key} contain {value} pieces altogether.",
        "{value} pieces of part {key} lie on the shelves.",
        "| {key} | {value} pieces | counted twice |",
    ),
    questions=(
        "How many pieces of part {key} are in stock?",
        "What is the stock of part {key}?",
        "How much of part {key} do we hold?",
        "What number of pieces do the bins for part {key} contain?",
        "Give the stock of part {key}.",
        "What did the count of part {key} come to?",
        "Which quantity is in stock of part {key}?",
        "How many of part {key} lie on the shelves?",
        "According to the table, how many pieces are there of part {key}?",
        "Look up the quantity in stock for part {key}.",
    ),
    phrases=(
        "the stock of part {key}",
        "the number of pieces of part {key} in stock",
        "the quantity held of part {key}",
        "the count of part {key}",
    ),
)

_READING = FactKind(
    name="reading",
    key=pools.SAMPLE,
    value=pools.READING,
    facts=(
        "| Sample | Reading |\n|---|---|\n| {key2} | {value2} |\n| {key} | {value} |\n| {key3} | {value3} |",
        "Sample {key} gave a reading of {value}.",
        "The instrument showed {value} for sample {key}.",
        "sample,reading\n{key},{value}\n{key2},{value2}",
        "For sample {key} we measured {value}.",
        "{value} was read off for sample {key}.",
        "| Sample | Reading | Remark |\n|---|---|---|\n| {key} | {value} | clear |\n| {key2} | {value2} | cloudy |",
        "Measured value of sample {key}: {value}.",
        "With sample {key} the needle came to rest at {value}.",
        "The laboratory reports {value} for sample {key}.",
    ),
    questions=(
        "What reading did sample {key} give?",
        "Which value was measured for sample {key}?",
        "What did the instrument show for sample {key}?",
        "Where did the needle come to rest with sample {key}?",
        "Give the reading of sample {key}.",
        "What is the measured value of sample {key}?",
        "Which reading does the table show for sample {key}?",
        "What does the laboratory report for sample {key}?",
        "Look up the reading of sample {key}.",
        "What was read off for sample {key}?",
    ),
    phrases=(
        "the reading of sample {key}",
        "the value measured for sample {key}",
        "the measured value of sample {key}",
        "what the instrument showed for sample {key}",
    ),
    counted="samples with a reading",
)

_POPULATION = FactKind(
    name="population",
    key=pools.TOWN,
    value=pools.UNITS,
    facts=(
        "| Town | Inhabitants |\n|---|---|\n| {key} | {value} |\n| {key2} | {value2} |",
        "{key} has {value} inhabitants.",
        "The census counted {value} people in {key}.",
        "The population of {key} stands at {value}.",
        "| Town | Inhabitants |\n|---|---|\n| {key2} | {value2} |\n| {key3} | {value3} |\n| {key} | {value} |",
        "{value} people live in {key}.",
        "In {key}, home to {value} people, the trams run until midnight.",
        "At the last count, {key} was a town of {value} souls.",
        "Number of inhabitants of {key}: {value}.",
        "With {value} inhabitants, {key} is larger than its neighbours.",
    ),
    questions=(
        "How many inhabitants does {key} have?",
        "What is the population of {key}?",
        "How many people live in {key}?",
        "To how many people is {key} home?",
        "How many people did the census count in {key}?",
        "Give the number of inhabitants of {key}.",
        "How large is the population of {key}?",
        "At what figure does the population of {key} stand?",
        "Look up the population of the town of {key}.",
        "What number of people lives in {key}?",
    ),
    phrases=(
        "the population of {key}",
        "the number of inhabitants of {key}",
        "the number of people who live in {key}",
        "the number of people that the census counted in {key}",
    ),
    via=(
        "How many inhabitants are there in {via}?",
        "What is the population of {via}?",
        "How many people live in {via}?",
        "Give the number of inhabitants of {via}.",
    ),
)

_RESULT = FactKind(
    name="match_result",
    key=pools.TEAM,
    value=pools.SCORE,
    facts=(
        "| Team | Result |\n|---|---|\n| {key2} | {value2} |\n| {key} | {value} |",
        "The {key} ended their last match of the season {value}.",
        "When the final whistle blew, it stood {value} for the {key}.",
        "Final score of the {key}: {value}.",
        "The {key} went home with a result of {value}.",
        "It was {value} in the end, and the {key} left the court in silence.",
        "The scoreboard showed {value} after the last match of the {key}.",
        "At {value} the season was over for the {key}.",
        "The season of the {key} closed with {value} in the last match.",
        "The reporter noted {value} as the final result of the {key}.",
    ),
    questions=(
        "What was the result of the last match of the {key}?",
        "How did the last match of the {key} end?",
        "What was the final score of the {key}?",
        "How did it stand for the {key} when the season was over?",
        "Give the final result of the {key}.",
        "Which score did the scoreboard show after the last match of the {key}?",
        "With which result did the {key} go home?",
        "At what score did the last match of the {key} finish?",
        "What score is recorded for the {key}?",
        "Look up the result of the {key}.",
    ),
    phrases=(
        "the final score of the {key}",
        "the result of the {key}",
        "the score of the last match of the {key}",
        "the result with which the {key} went home",
    ),
    counted="teams with a final score",
)

KINDS = (_STOCK, _READING, _POPULATION, _RESULT)
