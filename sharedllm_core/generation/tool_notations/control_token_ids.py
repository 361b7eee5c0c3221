"""Text that mixes control tokens of a tokenizer with ordinary characters."""

import re
from collections.abc import Mapping

from ...text.tokenization import TextTokenizer

__all__ = ["ControlTokenIds"]


class ControlTokenIds:
    """Finds control tokens, such as `<tool_call>`, in the text of a notation.

    Args:
        tokenizer: the model's tokenizer.

    Attributes:
        ids: id of each control token, by its content.
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        vocabulary: Mapping[str, int] = tokenizer.tokenizer.get_vocab()
        self.ids = {token.content: vocabulary[token.content] for token in tokenizer.control_tokens}
        longest_first = sorted(self.ids, key=len, reverse=True)
        self._search = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def split(self, text: str) -> list[str]:
        """Split text into control tokens and the ordinary text between them, in order."""
        pieces: list[str] = []
        place = 0
        for match in self._search.finditer(text):
            pieces += [text[place : match.start()], match.group()]
            place = match.end()
        return [piece for piece in [*pieces, text[place:]] if piece]

    def units(self, text: str) -> list[str]:
        """Split text into control tokens and single characters, in order."""
        return [unit for piece in self.split(text) for unit in ([piece] if piece in self.ids else piece)]
