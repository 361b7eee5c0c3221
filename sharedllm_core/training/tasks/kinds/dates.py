"""Dates and times."""

from .. import pools
from ._kind import FactKind

__all__ = ["KINDS"]

_DEADLINE = FactKind(
    name="deadline",
    key=pools.PROJECT,
    value=pools.DATE,
    facts=(
        "{key} has to be finished by {value}.",
        "The deadline of {key} is {value}.",
        "Everything for {key} must be handed in no later than {value}.",
        "The board moved the deadline of {key} to {value}.",
        "{value} is the last day for work on {key}.",
        "If {key} is not complete by {value}, the funding ends.",
        "The team behind {key} has time until {value}.",
        "Due date of {key}: {value}.",
        "The plan allows {key} to run until {value} and not a day longer.",
        "Nobody expected that {key} would be due on {value}.",
    ),
    questions=(
        "What is the deadline of {key}?",
        "By when must {key} be finished?",
        "When is {key} due?",
        "Until which day may {key} run?",
        "On what date does work on {key} have to be complete?",
        "Give the due date of {key}.",
        "How long does the team behind {key} have? Name the last day.",
        "What is the latest date on which {key} can be handed in?",
        "Which date is set as the deadline of {key}?",
        "Which day is the last one for {key}?",
    ),
    phrases=(
        "the deadline of {key}",
        "the due date of {key}",
        "the last day for {key}",
        "the day on which {key} is due",
    ),
)

_FOUNDED = FactKind(
    name="founding_date",
    key=pools.SOCIETY,
    value=pools.DATE,
    facts=(
        "The {key} was founded on {value}.",
        "On {value}, nine enthusiasts founded the {key}.",
        "The {key} has existed since {value}.",
        "The charter of the {key} bears the date {value}.",
        "{value} is celebrated as the birthday of the {key}.",
        "The first meeting of the {key}, and with it its foundation, took place on {value}.",
        "Its statutes show that the {key} came into being on {value}.",
        "The {key} looks back on a history that began on {value}.",
        "The {key} (founded on {value}) welcomes guests.",
        "It was on {value} that the {key} was called into life.",
    ),
    questions=(
        "When was the {key} founded?",
        "On which date was the {key} founded?",
        "Since when has the {key} existed?",
        "What date does the charter of the {key} bear?",
        "Give the founding date of the {key}.",
        "On what day did the {key} come into being?",
        "When did the history of the {key} begin?",
        "Which day is celebrated as the birthday of the {key}?",
        "What is the date of the foundation of the {key}?",
        "Name the day on which the {key} was established.",
    ),
    phrases=(
        "the founding date of the {key}",
        "the day on which the {key} was founded",
        "the date of the foundation of the {key}",
        "the birthday of the {key}",
    ),
)

_INSPECTION = FactKind(
    name="inspection_date",
    key=pools.BRIDGE,
    value=pools.DATE,
    facts=(
        "The {key} was inspected on {value}.",
        "On {value}, engineers examined the {key}.",
        "An inspection of the {key} took place on {value}.",
        "The log of the {key} notes an inspection on {value}.",
        "Two surveyors looked over the {key} on {value} and found no cracks.",
        "Inspection of the {key}, {value}: no defects.",
        "{value}: the bearings of the {key} were inspected.",
        "Traffic stopped on {value} while the {key} was being inspected.",
        "The inspector signed the sheet of the {key} on {value}.",
        "- {value}, {key}: inspection passed",
    ),
    questions=(
        "When was the {key} inspected?",
        "On which date did engineers examine the {key}?",
        "What is the date of the inspection of the {key}?",
        "On what day was the {key} looked over?",
        "Give the inspection date of the {key}.",
        "Which day does the log note for an inspection of the {key}?",
        "When did an inspection of the {key} take place?",
        "When was the state of the {key} checked?",
        "Find the date on which the {key} was inspected.",
        "For which date do the documents record an inspection of the {key}?",
    ),
    phrases=(
        "the inspection date of the {key}",
        "the day on which the {key} was inspected",
        "the date of the inspection of the {key}",
        "the date on which engineers examined the {key}",
    ),
    several="inspection dates of the {key}",
)

_DEPARTURE = FactKind(
    name="departure",
    key=pools.SHIP,
    value=pools.WEEK_TIME,
    facts=(
        "The ferry {key} sails every {value}.",
        "Every {value}, the ferry {key} leaves the pier.",
        "The {key} casts off on {value}, whatever the weather.",
        "According to the timetable, the {key} leaves on {value}.",
        "Passengers of the ferry {key} should be on board before it sails on {value}.",
        "The weekly crossing of the {key} begins on {value}.",
        "| Ferry | Departure |\n|---|---|\n| {key} | {value} |\n| {key2} | {value2} |\n| {key3} | {value3} |",
        "On {value} the lines of the {key} are let go.",
        "The mail has to be at the quay on {value}, when the {key} departs.",
        "Departure of the {key}: {value}.",
    ),
    questions=(
        "When does the ferry {key} leave?",
        "At what day and time does the {key} sail?",
        "When does the {key} cast off?",
        "What departure does the timetable show for the {key}?",
        "Give the weekday and time of the departure of the {key}.",
        "On which day and at which hour does the {key} depart?",
        "When does the weekly crossing of the {key} begin?",
        "By when must passengers of the {key} be on board?",
        "What is the departure time of the ferry {key}, with the weekday?",
        "When does the {key} set out each week?",
    ),
    phrases=(
        "the departure of the ferry {key}",
        "the day and time at which the {key} sails",
        "the weekly departure of the {key}",
        "the time at which the ferry {key} leaves",
    ),
)

KINDS = (_DEADLINE, _FOUNDED, _INSPECTION, _DEPARTURE)
