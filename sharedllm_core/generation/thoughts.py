"""The notation of thoughts: how the reasoning models of a chat template mark what they think before they answer.

Markers are recognised in the tokenizer's `response_template`, in its chat template and among its added tokens. The
template is rendered with and without the variables that switch thinking on and off, to see what they change. The
channels of gpt-oss (harmony) are not recognised: its thoughts are part of the answer's text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self
from weakref import WeakKeyDictionary

from jinja2 import TemplateError

from ..errors import InputError, setting
from ..text.tokenization import TextTokenizer

__all__ = ["PromptThoughts", "ThoughtNotation"]

#: Whether a prompt holds the beginning of thoughts, complete thoughts (mostly empty ones), or none.
PromptThoughts = Literal["begun", "ended", "none"]

#: Variables of chat templates that switch thinking on and off.
_SWITCHES = ("enable_thinking", "thinking")
_PROBE = ({"role": "user", "content": "?"},)


@dataclass(frozen=True)
class ThoughtNotation:
    """The markers of thoughts, and the chat template's switch.

    Attributes:
        begin, end: markers around the thoughts; empty if none are known.
        answer_begin, answer_end: markers around an answer that follows thoughts; empty where there are none.
        switch: the template's variable that switches thinking on and off; `None` if it has none.
        by_default: whether the model thinks unless it is switched off.
        renders_thoughts: whether the template decides what to do with `reasoning_content` of earlier messages.
    """

    begin: str = ""
    end: str = ""
    answer_begin: str = ""
    answer_end: str = ""
    switch: str | None = None
    by_default: bool = False
    renders_thoughts: bool = False

    @classmethod
    def for_tokenizer(cls, tokenizer: TextTokenizer) -> Self:
        """Detect the notation of a tokenizer and its chat template; a template is rendered once."""
        template = str(getattr(tokenizer.tokenizer, "chat_template", None) or "")
        known = _DETECTED.get(tokenizer)
        if known is None or known[0] != template:
            known = _DETECTED[tokenizer] = template, cls._detect(tokenizer.tokenizer, template)
        return known[1]

    @classmethod
    def _detect(cls, tokenizer: Any, template: str) -> Self:
        added = {token.content for token in tokenizer.added_tokens_decoder.values()}
        declared = _declared_markers(tokenizer)
        markers = next((pair for pair in declared + _MARKERS if pair.end in template), None)
        if markers is None:
            markers = next((pair for pair in declared + _MARKERS if {pair.begin, pair.end} <= added), None)
            return cls() if markers is None else cls(markers.begin, markers.end)
        has_answer_markers = markers.answer_begin in template
        notation = cls(
            markers.begin,
            markers.end,
            markers.answer_begin if has_answer_markers else "",
            markers.answer_end if has_answer_markers else "",
            renders_thoughts="reasoning_content" in template,
        )
        plain = _render(tokenizer, {})
        for switch in _SWITCHES:
            on, off = _render(tokenizer, {switch: True}), _render(tokenizer, {switch: False})
            if on is not None and off is not None and on != off:
                return replace(notation, switch=switch, by_default=plain != off)
        return replace(notation, by_default=notation.in_prompt(plain or "") != "ended")

    def thinks(self, thinking: bool | None) -> bool:
        """Return whether the model thinks before its answer.

        Args:
            thinking: whether it should; `None` for the template's default.

        Raises:
            InputError: the template has no switch, and the model does the opposite.
        """
        if thinking is None or thinking == self.by_default:
            return self.by_default
        if self.switch is not None:
            return thinking
        if thinking:
            raise InputError(
                f"{setting('thinking', True)} needs a model that thinks",
                limit="and the chat template of this model has no switch for it",
                remedy=["load a reasoning model", f"leave {setting('thinking')} out"],
            )
        raise InputError(
            f"{setting('thinking', False)} needs a chat template with a switch for it",
            limit="and this model always thinks",
            remedy=[f"leave {setting('thinking')} out", "load a model whose thinking can be switched off"],
        )

    def template_options(self, thinking: bool | None) -> Mapping[str, bool]:
        """Return the variables for the chat template."""
        return {} if thinking is None or self.switch is None else {self.switch: thinking}

    def in_prompt(self, prompt: str) -> PromptThoughts:
        """Return what a rendered prompt ends with: the begin marker, the end marker, or neither."""
        end = prompt.rstrip()
        if not self.begin:
            return "none"
        return "begun" if end.endswith(self.begin) else "ended" if end.endswith(self.end) else "none"


_MARKERS = (
    ThoughtNotation("<think>", "</think>", "<response>", "</response>"),
    ThoughtNotation("<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    ThoughtNotation("[THINK]", "[/THINK]"),
    ThoughtNotation("<seed:think>", "</seed:think>"),
    ThoughtNotation("<|channel>thought", "<channel|>"),
)
_DETECTED: WeakKeyDictionary[TextTokenizer, tuple[str, Any]] = WeakKeyDictionary()


def _declared_markers(tokenizer: Any) -> tuple[ThoughtNotation, ...]:
    """Return the markers in transformers' description of a model's responses, if the tokenizer has one."""
    response_template = getattr(tokenizer, "response_template", None) or {}
    fields = response_template.get("fields", {}) if isinstance(response_template, Mapping) else {}
    for name in ("reasoning_content", "thinking"):
        field = fields.get(name, {})
        begin, end = field.get("open"), field.get("close")
        if isinstance(begin, str) and isinstance(end, str) and begin.strip() and end.strip():
            return (ThoughtNotation(begin.strip(), end.strip()),)
    return ()


def _render(tokenizer: Any, variables: Mapping[str, bool]) -> str | None:
    """Render the prompt of a question; `None` if the template refuses it."""
    try:
        text: str = tokenizer.apply_chat_template(
            [dict(message) for message in _PROBE], tokenize=False, add_generation_prompt=True, **variables
        )
    except (TemplateError, TypeError):
        return None
    return text
