"""The thoughts before an answer while they are being generated, and the border between them and the answer."""

from collections.abc import Callable

from ..text.tokenization import GrowingText, TextTokenizer
from .markers import prefix_at_end
from .thoughts import ThoughtNotation

__all__ = ["AnswerStart", "DecodedThoughts"]


class DecodedThoughts:
    """The thoughts of one answer.

    Markers are found in the decoded text, so that it makes no difference whether they are single tokens. Text that may
    be the beginning of a marker is held back until the next tokens decide, and so is white space around the thoughts.

    Args:
        tokenizer: the model's tokenizer.
        notation: the markers.
        begun: whether the prompt ends with the marker that begins the thoughts.
        sink: receives each piece of the thoughts.

    Attributes:
        ids: the tokens of the thoughts and their markers.
        text: the thoughts that the sink has received.
        begun: whether there are thoughts; `False` also while it is undecided.
        ended: whether further tokens belong to the answer.
    """

    def __init__(
        self, tokenizer: TextTokenizer, notation: ThoughtNotation, begun: bool, sink: Callable[[str], None]
    ) -> None:
        self.ids: list[int] = []
        self.text = ""
        self.begun = begun
        self.ended = not notation.begin
        self.notation = notation
        self._growing = GrowingText(tokenizer, special=True)
        self._sink = sink
        self._held = ""

    def push(self, token_id: int) -> tuple[str, list[int]]:
        """Add the next token.

        Returns:
            What belongs to the answer: the text behind the end marker in this token, and the ids so far of an answer
            that turns out to begin without thoughts.
        """
        self.ids.append(token_id)
        self._held += self._growing.add(token_id)
        if not self.begun:
            start = self._held.lstrip()
            if self.notation.begin.startswith(start):
                if start != self.notation.begin:
                    return "", []  # undecided
            elif not start.startswith(self.notation.begin):
                return "", self._release()
            self.begun = True
            self._held = start.removeprefix(self.notation.begin)
        thoughts, end, rest = self._held.partition(self.notation.end)
        self.ended = bool(end)
        self._emit(thoughts)
        return rest, []

    def finish(self) -> list[int]:
        """End the generation: thoughts that were held back are emitted.

        Returns:
            The ids of an answer that is too short to tell whether it begins with thoughts.
        """
        if self.ended:
            return []
        if not self.begun:
            return self._release()
        self.ended = True
        self._emit(self._held)
        return []

    def _release(self) -> list[int]:
        """Return all ids to the answer: there are no thoughts."""
        self.ended = True
        ids, self.ids = self.ids, []
        return ids

    def _emit(self, held: str) -> None:
        """Emit thoughts without white space around them, and without what may begin the end marker."""
        held = held if self.text else held.lstrip()
        size = 0 if self.ended else prefix_at_end(held, [self.notation.end])
        piece = held[: len(held) - size].rstrip()
        self._held = held[len(piece) :]
        if piece:
            self.text += piece
            self._sink(piece)


class AnswerStart:
    """Removes white space and the answer's marker between thoughts and answer.

    Args:
        marker: the marker that may begin the answer; may be empty.
    """

    def __init__(self, marker: str) -> None:
        self._marker = marker
        self._held = ""
        self._begun = False

    def push(self, piece: str) -> str:
        """Add a piece of text, and return what belongs to the answer."""
        if self._begun:
            return piece
        self._held = (self._held + piece).lstrip()
        if self._marker and self._held.startswith(self._marker):
            self._held, self._marker = self._held.removeprefix(self._marker).lstrip(), ""
        if not self._held or self._marker.startswith(self._held):
            return ""
        return self.finish()

    def finish(self) -> str:
        """Return the text that was held back."""
        self._begun = True
        held, self._held = self._held, ""
        return held
