"""Prices and sums of money."""

from .. import pools
from ._kind import FactKind

__all__ = ["KINDS"]

_PRICE = FactKind(
    name="price",
    key=pools.PRODUCT,
    value=pools.DOLLARS,
    facts=(
        "The {key} costs {value}.",
        "Customers pay {value} for the {key}.",
        "The list price of the {key} is {value}.",
        "At {value}, the {key} is the most popular article in the catalogue.",
        "You can buy the {key} for {value}.",
        "We sell the {key} at {value}, tax included.",
        "| Article | Price |\n|---|---|\n| {key2} | {value2} |\n| {key} | {value} |\n| {key3} | {value3} |",
        "From this spring on, the {key} is priced at {value}.",
        "The shop window showed the {key} with a tag that read {value}.",
        "For the {key} the invoice states {value}.",
    ),
    questions=(
        "How much does the {key} cost?",
        "What is the price of the {key}?",
        "What do customers pay for the {key}?",
        "For what price can one buy the {key}?",
        "Give the list price of the {key}.",
        "At what price is the {key} sold?",
        "What is the {key} priced at?",
        "How much money does one need for the {key}?",
        "What sum does the {key} sell for?",
        "Which price is given for the {key}?",
    ),
    phrases=(
        "the price of the {key}",
        "the sum that customers pay for the {key}",
        "the list price of the {key}",
        "what the {key} costs",
    ),
)

_RENT = FactKind(
    name="annual_rent",
    key=pools.BUILDING,
    value=pools.EUROS,
    facts=(
        "The annual rent of the {key} is {value}.",
        "The tenant pays {value} a year for the {key}.",
        "The {key} is let for {value} per year.",
        "Each year the {key} brings its owner {value} in rent.",
        "Rent of the {key}, per year: {value}.",
        "The lease sets the rent of the {key} at {value} a year.",
        "{value} are due every year as rent for the {key}.",
        "For the use of the {key}, {value} must be paid annually.",
        "Whoever rents the {key} owes {value} for each year.",
        "The owner let the {key} at a yearly rent of {value}.",
    ),
    questions=(
        "What is the annual rent of the {key}?",
        "How much rent is paid for the {key} each year?",
        "For how much a year is the {key} let?",
        "What does the {key} bring its owner every year?",
        "Give the yearly rent of the {key}.",
        "What does it cost to rent the {key} for a year?",
        "At what sum does the lease set the rent of the {key}?",
        "How much must be paid annually for the use of the {key}?",
        "What rent is due each year for the {key}?",
        "How high is the yearly rent of the {key}?",
    ),
    phrases=(
        "the annual rent of the {key}",
        "the rent paid for the {key} each year",
        "the yearly rent of the {key}",
        "the sum for which the {key} is let",
    ),
    via=(
        "What is the annual rent of {via}?",
        "How much rent is paid each year for {via}?",
        "For how much a year is {via} let?",
        "Give the yearly rent of {via}.",
    ),
)

_PRIZE_MONEY = FactKind(
    name="prize_money",
    key=pools.PRIZE,
    value=pools.EUROS,
    facts=(
        "The {key} comes with {value}.",
        "Winners of the {key} receive {value}.",
        "The {key} is endowed with {value}.",
        "A cheque for {value} goes with the {key}.",
        "Besides the medal, the {key} brings {value}.",
        "The foundation pays {value} to whoever wins the {key}.",
        "No other award in the field equals the {value} of the {key}.",
        "{value} await the winner of the {key}.",
        "The purse of the {key} was raised to {value}.",
        "Prize money of the {key}: {value}.",
    ),
    questions=(
        "How much money comes with the {key}?",
        "What do winners of the {key} receive?",
        "With what sum is the {key} endowed?",
        "How large is the cheque that goes with the {key}?",
        "What is the prize money of the {key}?",
        "How much is paid to whoever wins the {key}?",
        "Give the sum that the {key} brings.",
        "What sum awaits the winner of the {key}?",
        "How high is the purse of the {key}?",
        "What is the {key} worth?",
    ),
    phrases=(
        "the prize money of the {key}",
        "the sum that winners of the {key} receive",
        "the sum with which the {key} is endowed",
        "the purse of the {key}",
    ),
)

_DONOR = FactKind(
    name="donor",
    key=pools.INSTITUTION,
    value=pools.COMPANY,
    facts=(
        "{value} made a donation to the {key}.",
        "The {key} thanks {value} for a generous gift.",
        "Among the patrons of the {key} is {value}.",
        "A new wing of the {key} was paid for by {value}.",
        "{value} supports the {key} with money.",
        "The {key} received a cheque from {value}.",
        "A plate in the entrance hall of the {key} names {value} as a donor.",
        "Money from {value} helped the {key} through the winter.",
        "- {value}: donation to the {key}, received with thanks",
        "The directors of {value} decided to give money to the {key}.",
    ),
    questions=(
        "Which company made a donation to the {key}?",
        "Who donated to the {key}?",
        "From which company did the {key} receive money?",
        "Which company is a patron of the {key}?",
        "Name the donor of the {key}.",
        "Whom does the {key} have to thank for a gift?",
        "Which company supports the {key}?",
        "Who gave money to the {key}?",
        "Which firm do the documents name as a donor of the {key}?",
        "By which company was the {key} supported?",
    ),
    phrases=(
        "the donor of the {key}",
        "the company that supports the {key}",
        "the company that gave money to the {key}",
        "the patron of the {key}",
    ),
    several="companies that gave money to the {key}",
)

KINDS = (_PRICE, _RENT, _PRIZE_MONEY, _DONOR)
