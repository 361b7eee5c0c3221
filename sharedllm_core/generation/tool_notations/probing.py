"""Find out how a chat template renders tools, calls and results, by rendering a conversation with known ones."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product, takewhile
from typing import Any

from jinja2 import TemplateError

from ...text.tokenization import TextTokenizer
from .call_format import CALL_ID, CallFormat
from .control_token_ids import ControlTokenIds
from .template_rules import IdRule, TemplateRules

__all__ = ["PROBE_CALLS", "probe_template"]

_NAMES = ("probe_first", "probe_second", "probe_third")
_ARGUMENTS = {"words": ["one", "two"], "count": 1}
_SHORT_IDS = ("aProbe001", "aProbe002", "aProbe003")
_LONG_IDS = ("call_probe_number_1", "call_probe_number_2", "call_probe_number_3")
_RESULT = "the result of the probe"
_ANSWER = "\N{CURRENCY SIGN}"  # no text of a call begins or ends with it
_QUESTION = {"role": "user", "content": "a question"}
_TOOL = {
    "type": "function",
    "function": {
        "name": "probe_offered",
        "description": "A probe.",
        "parameters": {
            "type": "object",
            "properties": {"words": {"type": "string", "description": "Words."}},
            "required": ["words"],
        },
    },
}
_SEPARATORS = ((",", ":"), (", ", ": "), (",", ": "), (", ", ":"))
_TEMPLATE_FAULTS = (TemplateError, TypeError, ValueError, LookupError, AttributeError)
_TURN_END = "<|eom_id|>"  # ends an answer of Llama 3 that calls a tool
_PLACE = "\1"  # stands for the arguments

#: The calls that are rendered, in OpenAI's format.
PROBE_CALLS = [{"type": "function", "function": {"name": name, "arguments": _ARGUMENTS}} for name in _NAMES]


def probe_template(tokenizer: TextTokenizer) -> tuple[TemplateRules, CallFormat | None] | None:
    """Find out how a tokenizer's chat template renders tools and calls.

    Returns:
        What the template demands of messages, and the format of its calls, which is `None` if their arguments are no
        JSON; `None` if the template does not render tools, calls and results.
    """
    if not getattr(tokenizer.tokenizer, "chat_template", None):
        return None
    probe = _Probe(tokenizer)
    if not probe.describes_tools():
        return None
    supported: TemplateRules | None = None
    for as_text, ids in product((False, True), IdRule):
        rules = TemplateRules(ids, as_text)
        if not probe.renders(rules):
            continue
        if call_format := probe.call_format(rules):
            return replace(rules, parallel=call_format.parallel), call_format
        supported = supported or rules
    return None if supported is None else (supported, None)


@dataclass(frozen=True)
class _Call:
    """A rendered call: text before its name, between name and arguments, and after the arguments."""

    before: str
    middle: str
    after: str


class _Probe:
    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._inner: Any = tokenizer.tokenizer
        self._tokens = ControlTokenIds(tokenizer)
        self._ends = [end for end in (self._inner.eos_token, _TURN_END) if end]

    def describes_tools(self) -> bool:
        """Whether the template renders the tools that are offered."""
        text = self._render([_QUESTION], add_generation_prompt=True)
        return text is not None and _TOOL["function"]["name"] in text  # type: ignore[index]

    def renders(self, rules: TemplateRules) -> bool:
        """Whether the template renders a call with its arguments, and its result, with any id and without one."""
        for ids in (_LONG_IDS, None):
            result = {"role": "tool", "content": _RESULT, **({"tool_call_id": ids[0]} if ids else {})}
            messages = rules.prepare([_QUESTION, _message(1, ids), result])
            text = self._render(messages, add_generation_prompt=True)
            if text is None or not all(one in text for one in (_NAMES[0], *_ARGUMENTS, _RESULT)):
                return False
        return True

    def call_format(self, rules: TemplateRules) -> CallFormat | None:
        """Read the format of calls; `None` if their arguments are not rendered as a JSON object."""
        one = self._calls_text(rules, 1)
        arguments = None if one is None else _arguments_in(one)
        if one is None or arguments is None:
            return None
        texts = [self._calls_text(rules, number) for number in (1, 2, 3)]
        marked = ["" if text is None else text.replace(arguments, _PLACE).strip() for text in texts]
        first = _cut(marked[0], _NAMES[0])
        if first is None:
            return None
        item, key = _written_separators(arguments)
        single = CallFormat(first.before, first.middle, first.after, parallel=False)
        single = replace(single, item_separator=item, key_separator=key)
        several = _several(first, marked[1])
        if several and all(_join(several, number) == marked[number - 1] for number in (1, 2, 3)):
            return replace(several, item_separator=item, key_separator=key)
        return single if _join(single, 1) == marked[0] else None

    def _calls_text(self, rules: TemplateRules, number: int) -> str | None:
        """Return what the template renders for a message of calls in place of an answer's text."""
        answer = self._render([_QUESTION, {"role": "assistant", "content": _ANSWER}])
        ids = _LONG_IDS if rules.ids is IdRule.NONE else _SHORT_IDS
        calls = self._render(replace(rules, parallel=True).prepare([_QUESTION, _message(number, ids)]))
        if answer is None or calls is None:
            return None
        units, others = self._tokens.units(calls), self._tokens.units(answer)
        units = units[_common(units, others) :]
        units = units[: len(units) - _common(units[::-1], others[::-1])]
        text = "".join(units).strip()
        for end in self._ends:
            text = text.removesuffix(end)
        for call_id in ids:
            text = text.replace(call_id, CALL_ID)
        return text.strip()

    def _render(self, messages: Sequence[Any], *, add_generation_prompt: bool = False) -> str | None:
        """Render messages and the tool; `None` if the template refuses them."""
        try:
            text: str = self._inner.apply_chat_template(
                [dict(message) for message in messages],
                tools=[_TOOL],
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
            )
        except _TEMPLATE_FAULTS:
            return None
        return text


def _message(number: int, ids: Sequence[str] | None) -> dict[str, Any]:
    """Return a message of calls."""
    calls = [{**call, **({"id": ids[place]} if ids else {})} for place, call in enumerate(PROBE_CALLS[:number])]
    return {"role": "assistant", "content": "", "tool_calls": calls}


def _arguments_in(text: str) -> str | None:
    """Return the JSON text of the arguments in a rendered call."""
    place = text.find(_NAMES[0])
    while (place := text.find("{", place + 1)) > 0:
        try:
            value, end = json.JSONDecoder().raw_decode(text, place)
        except ValueError:
            continue
        if value == _ARGUMENTS:
            return text[place:end]
    return None


def _cut(text: str, name: str) -> _Call | None:
    """Cut the text of a call, whose arguments are replaced by `_PLACE`."""
    before, found, rest = text.partition(name)
    middle, has_arguments, after = rest.partition(_PLACE)
    return _Call(before, middle, after) if found and has_arguments else None


def _several(first: _Call, text: str) -> CallFormat | None:
    """Find the parts of a format in the text of two calls."""
    _, found, rest = text.partition(_PLACE)
    joint, has_second, last = rest.partition(_NAMES[1])
    end = last.partition(_PLACE)[2]
    if not (found and has_second):
        return None
    before = first.before[len(first.before) - _common(first.before[::-1], joint[::-1]) :]
    between_and_after = joint[: len(joint) - len(before)]
    after = between_and_after[: _common(between_and_after, end)]
    start, between = first.before[: len(first.before) - len(before)], between_and_after[len(after) :]
    return CallFormat(before, first.middle, after, start=start, between=between, end=end[len(after) :])


def _join(call_format: CallFormat, number: int) -> str:
    """Join probe calls as the template is expected to render them, with the places of ids."""
    parts = call_format
    texts = [
        f"{parts.before_name}{name}{parts.before_arguments}{_PLACE}{parts.after_arguments}" for name in _NAMES[:number]
    ]
    return f"{parts.start}{parts.between.join(texts)}{parts.end}"


def _written_separators(arguments: str) -> tuple[str, str]:
    """Return the separators of JSON text; those of most templates if it is indented."""
    for item, key in _SEPARATORS:
        if json.dumps(_ARGUMENTS, separators=(item, key)) == arguments:
            return item, key
    return ", ", ": "


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """Count the units that two texts have in common at their beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))
