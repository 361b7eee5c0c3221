"""Functions that a task may ask to be called."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from .. import pools

__all__ = ["TOOLS", "Tool"]

Draw = Callable[[Random], str]


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A function, and how people ask for a call of it.

    Attributes:
        name: of the function.
        types: "string" or "integer" by the name of the parameter, in order.
        given: draws an argument that stands in the request, by the name of the parameter.
        requests: at least 4 ways to ask, with the parameters' names in braces. The one parameter that is not in `given`
            is filled with a noun phrase, and its argument has to be found in the documents.
        held_out: whether training never shows the function.
    """

    name: str
    types: Mapping[str, str]
    given: Mapping[str, Draw]
    requests: tuple[str, ...]
    held_out: bool = False

    @property
    def looked_up(self) -> str:
        """The parameter whose argument is found in the documents, or ""."""
        return next((name for name in self.types if name not in self.given), "")

    @property
    def signature(self) -> str:
        """As it stands in a question."""
        return f"{self.name}({', '.join(f'{name}: {kind}' for name, kind in self.types.items())})"


def _tool(signature: str, requests: str, *, held_out: bool = False, **given: Draw) -> Tool:
    """A tool of its signature, with one request per line."""
    name, parameters = signature.removesuffix(")").split("(")
    types = dict(parameter.split(": ") for parameter in parameters.split(", "))
    lines = tuple(line.strip() for line in requests.strip().splitlines())
    return Tool(name=name, types=types, given=given, requests=lines, held_out=held_out)


TOOLS = (
    _tool(
        "set_timer(label: string, minutes: integer)",
        """
        Set a timer of {minutes} minutes with the label {label}.
        Please start a timer called {label} that runs for {minutes} minutes.
        I need a timer: {minutes} minutes, label {label}.
        Remind me after {minutes} minutes; name the timer {label}.
        """,
        label=pools.LITERAL.draw,
        minutes=pools.number(2, 980),
    ),
    _tool(
        "book_table(guest: string, town: string, seats: integer)",
        """
        Book a table in {town} for {guest}, with {seats} seats.
        {guest} wants a table for {seats} in {town}. Please book it.
        Reserve {seats} seats at a table in {town} in the name of {guest}.
        A table in {town}, {seats} seats, guest {guest}: please arrange that.
        """,
        guest=pools.PERSON.draw,
        town=pools.TOWN.draw,
        seats=pools.number(2, 48),
    ),
    _tool(
        "rename_file(old: string, new: string)",
        """
        Rename the file {old} to {new}.
        The file {old} should be called {new} from now on.
        Change the name of {old} to {new}.
        Give the file {old} the new name {new}.
        """,
        old=pools.FILE.draw,
        new=pools.FILE.draw,
    ),
    _tool(
        "restart_service(service: string, delay_seconds: integer)",
        """
        Restart {service} in {delay_seconds} seconds.
        Please let {service} restart after a delay of {delay_seconds} seconds.
        Wait {delay_seconds} seconds and then restart {service}.
        The service {service} must be restarted, {delay_seconds} seconds from now.
        """,
        service=pools.SERVICE.draw,
        delay_seconds=pools.number(5, 900),
    ),
    _tool(
        "order_part(part: string, quantity: integer)",
        """
        Order {quantity} pieces of part {part}.
        We need {quantity} of part {part}. Please order them.
        Place an order for part {part}, quantity {quantity}.
        Buy part {part}; {quantity} pieces will do.
        """,
        part=pools.PART.draw,
        quantity=pools.number(3, 4_800),
        held_out=True,
    ),
    _tool(
        "send_message(recipient: string, text: string)",
        """
        Send {recipient} a message whose text is {text}, and nothing else.
        {recipient} wants to know {text}. Send it as a message, without further words.
        Find {text} and send just that to {recipient}.
        Let {recipient} know {text} in a message that has no other text.
        """,
        recipient=pools.PERSON.draw,
    ),
    _tool(
        "save_note(label: string, content: string)",
        """
        Save {content} as a note with the label {label}.
        Make a note labelled {label} that contains only {content}.
        Look up {content} and store it under the label {label}.
        Under the label {label}, keep a note of {content}.
        """,
        label=pools.LITERAL.draw,
    ),
    _tool(
        "fill_cell(sheet: string, row: integer, value: string)",
        """
        Write {value} into row {row} of the sheet {sheet}.
        In the sheet {sheet}, row {row}, enter {value}.
        Row {row} of the sheet {sheet} should hold {value}. Fill it in.
        Put {value} where it belongs: sheet {sheet}, row {row}.
        """,
        sheet=pools.LITERAL.draw,
        row=pools.number(2, 9_800),
    ),
    _tool(
        "create_ticket(assignee: string, subject: string)",
        """
        Create a ticket for {assignee} with {subject} as its subject.
        Open a ticket, assign it to {assignee}, and use {subject} as the subject.
        {assignee} should get a ticket. Its subject is {subject}, word for word.
        File a ticket whose subject is {subject}; the assignee is {assignee}.
        """,
        assignee=pools.PERSON.draw,
    ),
    _tool(
        "search_archive(query: string, limit: integer)",
        """
        Search the archive for {query} and return at most {limit} hits.
        Find out {query} and look for it in the archive, with a limit of {limit}.
        Use {query} as a query to the archive; {limit} hits are enough.
        Let the archive be searched for {query}, limit {limit}.
        """,
        limit=pools.number(3, 480),
    ),
    _tool(
        "print_label(printer: string, copies: integer, text: string)",
        """
        Print {copies} labels that show {text}, on the printer {printer}.
        On the printer {printer}, print {text} as a label, {copies} copies.
        I want {copies} copies of a label with {text} from the printer {printer}.
        Have the printer {printer} make {copies} labels that read like {text}.
        """,
        printer=pools.SERVICE.draw,
        copies=pools.number(2, 240),
        held_out=True,
    ),
)
