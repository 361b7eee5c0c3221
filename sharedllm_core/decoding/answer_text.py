"""`DecodedAnswer`: the text of one answer while its tokens are generated."""

from collections.abc import Callable, Sequence

from ..generation.answer import FinishReason, ThoughtPiece
from ..generation.decoded_thoughts import AnswerStart, DecodedThoughts
from ..generation.markers import prefix_at_end
from ..generation.thoughts import ThoughtNotation
from ..generation.tool_notations.beginning import CallBeginning
from ..text.tokenization import GrowingText, TextTokenizer

__all__ = ["DecodedAnswer", "Sink"]

#: Receives each piece of text as soon as it is final; pieces of thoughts as `ThoughtPiece`.
Sink = Callable[[str], None]


class DecodedAnswer:
    """The text of one answer, and the thoughts before it, while they are being generated.

    Stop strings and tool calls are searched in the answer alone. Text that may be the beginning of one, or part of an
    incomplete character, is held back until the next tokens decide.

    Args:
        tokenizer: the model's tokenizer.
        eos_ids: ids that end an answer.
        stops: stop strings.
        sink: receives each piece of text.
        call_beginning: how a tool call is recognised, from where on the sink receives nothing; `None` if the answer
            calls no tools.
        notation: the markers of thoughts; by default there are none.
        begun: whether the prompt ends with the marker that begins the thoughts.
        exact: keep white space between thoughts and answer, since the answer matches a constraint as it is.

    Attributes:
        ids: the tokens of the answer so far.
        thoughts: the thoughts before the answer.
        text: the text that the sink has received.
        calls: the generated text from the first tool call on.
        finish_reason: why the answer ended; `None` until then.
    """

    def __init__(
        self,
        tokenizer: TextTokenizer,
        eos_ids: frozenset[int],
        stops: Sequence[str],
        sink: Sink,
        call_beginning: CallBeginning | None = None,
        notation: ThoughtNotation | None = None,
        begun: bool = False,
        exact: bool = False,
    ) -> None:
        self.ids: list[int] = []
        self.thoughts = DecodedThoughts(
            tokenizer, notation or ThoughtNotation(), begun, lambda piece: sink(ThoughtPiece(piece))
        )
        self.text = ""
        self.calls = ""
        self.finish_reason: FinishReason | None = None
        self._tokenizer = tokenizer
        self._call_beginning = call_beginning
        self._growing = GrowingText(tokenizer, special=call_beginning is not None)
        self._eos_ids = eos_ids
        self._stops = stops
        self._sink = sink
        self._start: AnswerStart | None = None
        self._exact = exact
        self._rest = ""  # the part of the answer that is in the last token of the thoughts
        self._decoded = ""
        self._held = ""

    def push(self, token_id: int) -> bool:
        """Add the next token; return whether the answer has ended."""
        if self.finish_reason is None:
            if token_id in self._eos_ids:
                self.end("stop")
            elif self.thoughts.ended:
                self._push_answer(token_id)
            else:
                rest, answer_ids = self.thoughts.push(token_id)
                if self.thoughts.begun and self.thoughts.ended:
                    self._begin_after_thoughts(rest)
                for answer_id in answer_ids:
                    self._push_answer(answer_id)
        return self.finish_reason is not None

    def _begin_after_thoughts(self, rest: str) -> None:
        notation = self.thoughts.notation
        if not self._exact:
            self._start = AnswerStart(notation.answer_begin)
            self._stops = [*self._stops, notation.answer_end] if notation.answer_end else self._stops
        self._rest = rest if rest.strip() else ""
        self._receive(self._rest)

    def _push_answer(self, token_id: int) -> None:
        if self.finish_reason is None:
            self.ids.append(token_id)
            self._receive(self._growing.add(token_id), self._call_token(token_id))

    def end(self, reason: FinishReason) -> None:
        """End the answer: text that was held back becomes part of it."""
        if self.finish_reason is not None:
            return
        for token_id in self.thoughts.finish():
            self._push_answer(token_id)
        whole = self._rest + self._tokenizer.decode(self.ids, special=self._call_beginning is not None)
        if whole.startswith(self._decoded):  # the answer may end inside a character
            self._receive(whole[len(self._decoded) :])
        if self._start is not None:
            self._add(self._start.finish())
        if self.finish_reason is None:
            self.finish_reason = reason
            self._emit(len(self._held))

    def shorten(self) -> None:
        """Record that the text was completed early, within the token budget of its grammar."""
        if self.finish_reason == "stop":
            self.finish_reason = "length"

    def _call_token(self, token_id: int) -> str:
        """Return the content of a control token that begins a call; empty for any other token."""
        return self._call_beginning.tokens.get(token_id, "") if self._call_beginning and not self.calls else ""

    def _receive(self, piece: str, call_token: str = "") -> None:
        """Add decoded text, of which `call_token`, if any, is the end."""
        self._decoded += piece
        self._add(piece if self._start is None else self._start.push(piece), call_token)

    def _add(self, piece: str, call_token: str = "") -> None:
        if self.calls:
            self.calls += piece
            return
        self._held += piece
        text = self._held.removesuffix(call_token)
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.finish_reason = "stop"
            self._emit(min(found))
        elif call_token or (at := self._call_text_at()) >= 0:
            self._emit(len(text) if call_token else at)
            self.calls, self._held = self._held, ""
        else:
            self._emit(len(self._held) - self._undecided())

    def _call_text_at(self) -> int:
        """Return the position in the held text where a call begins with text, or -1."""
        return self._call_beginning.find(self._held, first=not self.text) if self._call_beginning else -1

    def _undecided(self) -> int:
        """Count the characters at the end of the held text that may begin a stop string or a tool call."""
        in_stop, beginning = prefix_at_end(self._held, self._stops), self._call_beginning
        return max(in_stop, beginning.undecided(self._held, first=not self.text) if beginning else 0)

    def _emit(self, count: int) -> None:
        piece, self._held = self._held[:count], self._held[count:]
        if piece:
            self.text += piece
            self._sink(piece)
