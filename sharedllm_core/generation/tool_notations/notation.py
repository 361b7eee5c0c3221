"""`ToolNotation`: how tools are described to one model, how it writes calls, and how its calls are parsed.

The notation of a tokenizer is detected once: by rendering its chat template, checked against its `response_template`
if it has one. Tools and calls of other models are written into the messages, in the notation of Hermes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from weakref import WeakKeyDictionary

from ...errors import InputError
from ...text.tokenization import TextTokenizer
from ..constraints.constraint import Constraint
from ..tools import ToolCall, Tools
from .beginning import CallBeginning, marker_of
from .call_format import HERMES, CallFormat
from .control_token_ids import ControlTokenIds
from .grammar import CallGrammar
from .probing import probe_template
from .response_template import agrees_with_declaration, declared_format
from .template_rules import TemplateRules
from .written_out import describe

__all__ = ["ToolNotation"]

_BEFORE_JSON = "<|python_tag|>"  # Llama 3 may write it before a call, which is bare JSON


@dataclass(frozen=True)
class ToolNotation:
    """The notation of a model's tool calls.

    Attributes:
        call_format: the text of calls.
        rules: what the tokenizer's chat template demands of messages with calls; `None` if it does not render tools and
            calls in a notation that was detected, so that they must be written into the messages as text.
        tokens: the control tokens of the tokenizer.
    """

    call_format: CallFormat
    rules: TemplateRules | None
    tokens: ControlTokenIds

    @classmethod
    def for_tokenizer(cls, tokenizer: TextTokenizer) -> Self:
        """Detect the notation of a tokenizer; this is done once for each chat template."""
        inner = tokenizer.tokenizer
        declared = str((getattr(inner, "chat_template", None), getattr(inner, "response_template", None)))
        known = _DETECTED.get(tokenizer)
        if known is None or known[0] != declared:
            known = _DETECTED[tokenizer] = declared, cls._detect(tokenizer)
        notation = known[1]
        assert isinstance(notation, cls)
        return notation

    @classmethod
    def _detect(cls, tokenizer: TextTokenizer) -> Self:
        tokens = ControlTokenIds(tokenizer)
        rules, call_format = probe_template(tokenizer) or (None, None)
        if call_format and not (call_format.opening and agrees_with_declaration(call_format, tokenizer)):
            call_format = None
        if rules and not call_format:
            call_format = declared_format(tokenizer)
        return cls(call_format, rules, tokens) if rules and call_format else cls(HERMES, None, tokens)

    # ------------------------------------------------------------------------------------------ to the model

    def prepare(self, messages: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Rewrite messages such that the chat template renders their calls and results; see `TemplateRules.prepare`."""
        return messages if self.rules is None else self.rules.prepare(messages)

    def describe(self, tools: Tools) -> str:
        """Describe tools as text, for chat templates that do not."""
        return describe(tools)

    def format_calls(self, calls: Sequence[Mapping[str, Any]]) -> str:
        """Format calls of an earlier message, given in OpenAI's format, as the model would generate them."""
        return self.call_format.format_calls(calls)

    # ------------------------------------------------------------------------------------------ from the model

    def constraint(self, tools: Tools, otherwise: Constraint | None = None) -> Constraint | None:
        """Build the constraint of an answer that may call tools; `None` for no constraint.

        Args:
            tools: the tools.
            otherwise: the constraint of an answer without calls; must be a JSON schema.

        Raises:
            InputError: a constraint that is not a JSON schema, or parameters with unsupported keywords; see
                `Constraint.json_schema`.
        """
        if tools.choice == "none":
            return otherwise
        if otherwise is not None and otherwise.schema is None:
            raise InputError(
                f"tools cannot be combined with {otherwise.description}",
                remedy=["use Constraint.json_schema(…)", "give no tools"],
            )
        return self._grammar.constraint(tools, otherwise)

    def beginning(self, tools: Tools | None, *, constrained: bool) -> CallBeginning | None:
        """Return how a call is recognised in an answer; `None` if the answer calls no tools.

        Args:
            tools: the tools of the answer.
            constrained: whether an answer without calls must match a constraint, so that it contains no call either.
        """
        if tools is None or tools.choice == "none":
            return None
        grammar = self._grammar
        tokens = [one for one in (grammar.marker, *grammar.optional_tokens) if one in self.tokens.ids]
        ids = {self.tokens.ids[token]: token for token in tokens}
        if grammar.marker in self.tokens.ids:
            return CallBeginning(ids)
        texts = [grammar.marker] if grammar.marker else grammar.heads(tools.callable_functions)
        return CallBeginning(ids, tuple(texts), only_first=constrained or not grammar.marker)

    def parse_calls(self, text: str) -> tuple[ToolCall, ...]:
        """Parse the complete calls in a text that begins with a call; a truncated last call is dropped."""
        return self.call_format.parse_calls(text)

    @property
    def _grammar(self) -> CallGrammar:
        marker = marker_of(self.call_format, self.tokens)
        optional = [] if marker or _BEFORE_JSON not in self.tokens.ids else [_BEFORE_JSON]
        return CallGrammar(self.call_format, self.tokens, marker, optional)


_DETECTED: WeakKeyDictionary[TextTokenizer, tuple[str, ToolNotation]] = WeakKeyDictionary()
