"""Find the parts of a call format in the rendered texts of one, two and three known calls."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

from .call_format import CallFormat
from .control_token_ids import ControlTokenIds

__all__ = ["common_length", "read_call_format"]

_SEPARATORS = ((",", ":"), (", ", ": "), (",", ": "), (", ", ":"))
_ARGUMENTS = "\1"  # stands for the arguments in the texts


def read_call_format(
    texts: Sequence[str], names: Sequence[str], arguments: Mapping[str, Any], tokens: ControlTokenIds
) -> CallFormat | None:
    """Find the parts of a call format.

    Args:
        texts: rendered messages of one, two and three calls; empty where the template renders none.
        names: names of the calls.
        arguments: the arguments of each.
        tokens: the control tokens of the tokenizer, which are in one part as a whole.

    Returns:
        A format that gives these texts, for single calls if it does not give the texts of several; `None` if the
        arguments are no JSON object or no format gives the text of one call.
    """
    rendered = _json_of(arguments, texts[0], names[0])
    if rendered is None:
        return None
    marked = [text.replace(rendered, _ARGUMENTS).strip() for text in texts]
    before, _, rest = marked[0].partition(names[0])
    middle, _, after = rest.partition(_ARGUMENTS)
    single = CallFormat(before, middle, after, parallel=False)
    several = _with_further_calls(single, marked[1], names[1], tokens)
    for candidate, counts in ((several, (1, 2, 3)), (single, (1,))):
        if candidate and all(_join(candidate, names[:count]) == marked[count - 1] for count in counts):
            item, key = _separators(arguments, rendered)
            return replace(candidate, item_separator=item, key_separator=key)
    return None


def common_length(first: Sequence[str], second: Sequence[str]) -> int:
    """Count the units that two texts have in common at their beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))


def _json_of(arguments: Mapping[str, Any], text: str, name: str) -> str | None:
    """Return the JSON text of the arguments behind a name."""
    place = text.find(name)
    while place >= 0 and (place := text.find("{", place + 1)) >= 0:
        try:
            value, end = json.JSONDecoder().raw_decode(text, place)
        except ValueError:
            continue
        if value == arguments:
            return text[place:end]
    return None


def _with_further_calls(single: CallFormat, text: str, second_name: str, tokens: ControlTokenIds) -> CallFormat | None:
    """Split the parts of a single call by the text of two calls; `None` if it has only one."""
    _, _, rest = text.partition(_ARGUMENTS)
    joint_text, has_second, last = rest.partition(second_name)
    if not has_second:
        return None
    opening, joint, ending = map(tokens.units, (single.before_name, joint_text, last.partition(_ARGUMENTS)[2]))
    length = common_length(opening[::-1], joint[::-1])  # of the text before each name
    start, before = opening[: len(opening) - length], opening[len(opening) - length :]
    joint = joint[: len(joint) - length]
    length = common_length(joint, ending)  # of the text after each call
    parts = {"before_name": before, "after_arguments": ending[:length], "start": start}
    parts |= {"between": joint[length:], "end": ending[length:]}
    texts: dict[str, Any] = {name: "".join(units) for name, units in parts.items()}
    return replace(single, parallel=True, **texts)


def _join(call_format: CallFormat, names: Sequence[str]) -> str:
    """Join calls as the template is expected to render them, with the places of ids and arguments."""
    parts = call_format
    calls = [f"{parts.before_name}{name}{parts.before_arguments}{_ARGUMENTS}{parts.after_arguments}" for name in names]
    return f"{parts.start}{parts.between.join(calls)}{parts.end}"


def _separators(arguments: Mapping[str, Any], rendered: str) -> tuple[str, str]:
    """Return the separators of JSON text between items and after keys; those of most templates if it is indented."""
    for item, key in _SEPARATORS:
        if json.dumps(arguments, separators=(item, key)) == rendered:
            return item, key
    return ", ", ": "
