"""Find out how a chat template renders tools, calls and results, by rendering a conversation with known ones."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from jinja2 import TemplateError

from ...text.tokenization import TextTokenizer
from .call_format import CALL_ID, CallFormat
from .call_parts import common_length, read_call_format
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
_TEMPLATE_FAULTS = (TemplateError, TypeError, ValueError, LookupError, AttributeError)
_TURN_END = "<|eom_id|>"  # ends an answer of Llama 3 that calls a tool

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
    for as_text, ids in product((False, True), IdRule):
        rules = TemplateRules(ids, as_text)
        rendered = probe.rendered(rules)
        if rendered is None:
            continue
        if call_format := probe.call_format(rules):
            return replace(rules, parallel=call_format.parallel), call_format
        if str(_ARGUMENTS) not in rendered:  # otherwise the template needs arguments as text
            return rules, None
    return None


class _Probe:
    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._inner: Any = tokenizer.tokenizer
        self._tokens = ControlTokenIds(tokenizer)
        self._ends = [end for end in (self._inner.eos_token, _TURN_END) if end]

    def describes_tools(self) -> bool:
        """Whether the template renders the tools that are offered."""
        text = self._render([_QUESTION], add_generation_prompt=True)
        return text is not None and _TOOL["function"]["name"] in text  # type: ignore[index]

    def rendered(self, rules: TemplateRules) -> str | None:
        """Render a call and its result; `None` if the template does not, with any id and without one."""
        text = None
        for ids in (_LONG_IDS, None):
            result = {"role": "tool", "content": _RESULT, **({"tool_call_id": ids[0]} if ids else {})}
            messages = rules.prepare([_QUESTION, _message(1, ids), result])
            text = self._render(messages, add_generation_prompt=True)
            if text is None or not all(part in text for part in (_NAMES[0], *_ARGUMENTS, _RESULT)):
                return None
        return text

    def call_format(self, rules: TemplateRules) -> CallFormat | None:
        """Read the format of calls; `None` if their arguments are not rendered as a JSON object."""
        texts = [self._calls_text(rules, number) or "" for number in (1, 2, 3)]
        return read_call_format(texts, _NAMES, _ARGUMENTS, self._tokens)

    def _calls_text(self, rules: TemplateRules, number: int) -> str | None:
        """Return what the template renders for a message of calls in place of an answer's text."""
        answer = self._render([_QUESTION, {"role": "assistant", "content": _ANSWER}])
        ids = _LONG_IDS if rules.ids is IdRule.NONE else _SHORT_IDS
        calls = self._render(replace(rules, parallel=True).prepare([_QUESTION, _message(number, ids)]))
        if answer is None or calls is None:
            return None
        units, others = self._tokens.units(calls), self._tokens.units(answer)
        units = units[common_length(units, others) :]
        units = units[: len(units) - common_length(units[::-1], others[::-1])]
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
