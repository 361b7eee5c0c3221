"""Quoted passages: text of documents placed in the running text, by a template that users can replace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ..errors import InputError, setting
from ..text.unicode import well_formed
from .messages import Message

__all__ = ["DEFAULT_QUOTE_TEMPLATE", "Quote", "QuoteTemplate"]

#: The last user message with passages: they stand before it, numbered, each with its document's title.
DEFAULT_QUOTE_TEMPLATE = """\
{% for passage in passages %}[{{ passage.number }}] {{ passage.title }}
{{ passage.text }}

{% endfor %}{{ question }}"""


@dataclass(frozen=True)
class Quote:
    """A passage as the template sees it.

    Attributes:
        title: of its document.
        text: the quoted text.
        number: from 1.
    """

    title: str
    text: str
    number: int = 0


class QuoteTemplate:
    """A Jinja template for the user message that is answered.

    Args:
        source: has the variables `passages` (each with `number`, `title` and `text`) and `question`, the message.

    Raises:
        InputError: it is no valid template, or does not use both variables.
    """

    def __init__(self, source: str = DEFAULT_QUOTE_TEMPLATE) -> None:
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
        try:
            self._template: Template = environment.from_string(source)
            probe = self._render([Quote("\x02", "\x03", 1)], "\x04")
        except (TemplateError, TypeError) as error:
            raise InputError(
                f"{setting('quote_template')} is no usable Jinja template: {error}",
                remedy="use the variables passages (number, title, text) and question",
            ) from error
        if "\x03" not in probe or "\x04" not in probe:
            raise InputError(
                f"{setting('quote_template')} leaves out the passages' text or the question",
                remedy="use the variables passages (number, title, text) and question",
            )

    def place(self, messages: Sequence[Message], quotes: Sequence[Quote]) -> list[Message]:
        """Return the messages with passages in the last user message; tool results and other messages stay."""
        if not quotes:
            return list(messages)
        numbered = [replace(quote, number=number) for number, quote in enumerate(quotes, start=1)]
        last = max((at for at, message in enumerate(messages) if message["role"] == "user"), default=None)
        if last is None:
            return [*messages, {"role": "user", "content": self._render(numbered, "").rstrip()}]
        changed: dict[str, Any] = {**messages[last], "content": self._render(numbered, messages[last]["content"])}
        return [*messages[:last], changed, *messages[last + 1 :]]

    def _render(self, quotes: Sequence[Quote], question: str) -> str:
        passages: list[Mapping[str, Any]] = [
            {"number": quote.number, "title": quote.title, "text": quote.text} for quote in quotes
        ]
        return well_formed(self._template.render(passages=passages, question=question))
