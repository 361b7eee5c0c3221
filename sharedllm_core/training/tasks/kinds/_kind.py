"""What a kind of fact is."""

from dataclasses import dataclass

from ..pools import Pool

__all__ = ["FactKind"]


@dataclass(frozen=True, kw_only=True)
class FactKind:
    """A kind of fact: what it is about, what it says, and the many ways to state it and to ask for it.

    Templates name the thing asked for `{key}` and what is said of it `{value}`. Facts may state neighbours beside it,
    `{key2}`, `{value2}`, `{key3}`, `{value3}`: the other rows of a table, the other sections of a file.

    Attributes:
        name: of the kind; also the field's name where an answer is JSON.
        key: pool of the things that are asked about.
        value: pool of what is said of them.
        facts: ways to state the fact, at least 10.
        questions: ways to ask for the value, at least 10.
        phrases: noun phrases that mean the value, at least 4: "the captain of the {key}".
        via: questions, at least 4, in which `{via}` stands for a noun phrase that means the key; only for kinds whose
            keys are the values of other kinds.
        several: what a key's values are called together, where a key may well have several: "towns that {key} visited".
        counted: what the things are called together, where nothing else in a text is likely to be one.
        held_out: whether the whole kind is kept away from training.
    """

    name: str
    key: Pool
    value: Pool
    facts: tuple[str, ...]
    questions: tuple[str, ...]
    phrases: tuple[str, ...]
    via: tuple[str, ...] = ()
    several: str = ""
    counted: str = ""
    held_out: bool = False
