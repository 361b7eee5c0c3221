"""Facts that are mostly items of lists."""

from .. import pools
from ._kind import FactKind

__all__ = ["KINDS"]

_SHELF = FactKind(
    name="shelf",
    key=pools.BOOK,
    value=pools.SHELF,
    facts=(
        '- "{key}": shelf {value}',
        '"{key}" stands on shelf {value}.',
        'Readers find "{key}" on shelf {value}.',
        'The catalogue card of "{key}" is marked {value}.',
        '- "{key2}": shelf {value2}\n- "{key}": shelf {value}\n- "{key3}": shelf {value3}',
        'After the move, "{key}" was put on shelf {value}.',
        'Shelf {value} holds the only copy of "{key}".',
        'If someone asks for "{key}", fetch it from {value}.',
        '1. "{key}" ({value})\n2. "{key2}" ({value2})',
        'The librarian keeps "{key}" on shelf {value}.',
    ),
    questions=(
        'On which shelf does "{key}" stand?',
        'Where in the library is "{key}"? Give the shelf.',
        'What is the shelf mark of "{key}"?',
        'From which shelf can "{key}" be fetched?',
        'Give the shelf of the book "{key}".',
        'Which shelf holds "{key}"?',
        'On which shelf do readers find "{key}"?',
        'How is the catalogue card of "{key}" marked?',
        'Where does the librarian keep "{key}"? Name the shelf.',
        'Look up the shelf of "{key}".',
    ),
    phrases=(
        'the shelf of "{key}"',
        'the shelf on which "{key}" stands',
        'the shelf mark of the book "{key}"',
        'the shelf that holds "{key}"',
    ),
    counted="books with a shelf mark",
)

_SPEAKER = FactKind(
    name="speaker",
    key=pools.TALK,
    value=pools.PERSON,
    facts=(
        "- {value}: {key}",
        "{value} will give the talk {key}.",
        "The speaker of the talk {key} is {value}.",
        "{key}, a talk by {value}, begins after lunch.",
        "1. {key2} ({value2})\n2. {key} ({value})\n3. {key3} ({value3})",
        "The audience applauded when {value} had finished the talk {key}.",
        "For the talk {key} the organisers invited {value}.",
        "Do not miss {value} with {key} in the large hall.",
        "{key} is the title under which {value} will speak.",
        "On the programme: {key}, presented by {value}.",
    ),
    questions=(
        "Who gives the talk {key}?",
        "Who is the speaker of the talk {key}?",
        "By whom is the talk {key}?",
        "Whom can one hear in the talk {key}?",
        "Name the speaker of the talk {key}.",
        "Whom did the organisers invite for the talk {key}?",
        "Who speaks under the title {key}?",
        "Who presents {key}?",
        "According to the programme, who will give the talk {key}?",
        "Look up the speaker of {key}.",
    ),
    phrases=(
        "the speaker of the talk {key}",
        "the person who gives the talk {key}",
        "the person who presents {key}",
        "the person invited for the talk {key}",
    ),
)

_EQUIPMENT = FactKind(
    name="delivered_item",
    key=pools.STATION,
    value=pools.ITEM,
    facts=(
        "- for {key}: {value}",
        "A sledge brought the {value} to {key}.",
        "The crew of {key} unpacked the {value}.",
        "Among the things delivered to {key} was the {value}.",
        "The quartermaster sent the {value} to {key}.",
        "At {key} they signed for the {value}.",
        "Delivered to {key}: {value}.",
        "The {value} found its way to {key} on the back of a mule.",
        "The pilot dropped a box over {key}; in it lay the {value}.",
        "The {value} was meant for {key} and arrived there unharmed.",
    ),
    questions=(
        "What was delivered to {key}?",
        "Which item did {key} receive?",
        "What did the crew of {key} unpack?",
        "For which object did they sign at {key}?",
        "Name the item that was sent to {key}.",
        "What did the quartermaster send to {key}?",
        "Which thing was meant for {key}?",
        "What arrived at {key}?",
        "Which item do the documents list for {key}?",
        "What was brought to {key}?",
    ),
    phrases=(
        "the item delivered to {key}",
        "the thing that the crew of {key} unpacked",
        "the object that was sent to {key}",
        "the item meant for {key}",
    ),
    several="items delivered to {key}",
)

_FLOUR = FactKind(
    name="flour",
    key=pools.RECIPE,
    value=pools.GRAMS,
    facts=(
        "The recipe for {key} calls for {value} of flour.",
        "## {key}\n\n- {value} of flour\n- a pinch of salt\n- water as needed",
        "For a large batch of {key}, weigh out {value} of flour.",
        "Cooks who make {key} for a feast take {value} of flour.",
        "Ingredients of {key}: {value} of flour, yeast, salt.",
        "{value} of flour go into a batch of {key}.",
        "You need {value} of flour to make {key} for everybody.",
        "- flour: {value} ({key})",
        "Grandmother put {value} of flour, no more and no less, into the {key}.",
        "Begin the {key} by sifting {value} of flour.",
    ),
    questions=(
        "How much flour does the recipe for {key} call for?",
        "What amount of flour goes into {key}?",
        "How much flour is needed for {key}?",
        "What weight of flour do cooks take for {key}?",
        "Give the amount of flour in the recipe for {key}.",
        "I want to make {key}. How much flour do I weigh out?",
        "What quantity of flour does one sift for {key}?",
        "How much flour is listed among the ingredients of {key}?",
        "Look up the amount of flour for {key}.",
        "How much flour belongs in {key}?",
    ),
    phrases=(
        "the amount of flour in {key}",
        "the weight of flour needed for {key}",
        "the quantity of flour that goes into {key}",
        "the amount of flour that the recipe for {key} calls for",
    ),
    counted="recipes with an amount of flour",
)

KINDS = (_SHELF, _SPEAKER, _EQUIPMENT, _FLOUR)
