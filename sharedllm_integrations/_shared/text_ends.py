"""The head and the tail of a long text, cut between paragraphs: what stays in the window when its middle moves."""

import re

from sharedllm_core.text.tokenization import TextTokenizer

__all__ = ["text_ends"]

_CHARACTERS_PER_TOKEN = 6  # a first guess; more are tokenized where it is too low
#: Where a text may be cut, the best first: between paragraphs, lines, sentences, words.
_BORDERS = (re.compile(r"\n[ \t]*\n\s*"), re.compile(r"\n\s*"), re.compile(r"(?<=[.!?。！？])\s*"), re.compile(r"\s+"))


def text_ends(text: str, least_tokens: int, most_tokens: int, tokenizer: TextTokenizer) -> tuple[int, int]:
    """Return where the head of a text ends and where its tail begins, in characters.

    Args:
        text: with more than twice `most_tokens` tokens.
        least_tokens, most_tokens: of the head and of the tail, each. Between these, the cut lies at a paragraph's end;
            where there is none, at the end of a line, a sentence or a word.
        tokenizer: counts tokens.
    """
    least, most = (_prefix(text, tokens, tokenizer) for tokens in (least_tokens, most_tokens))
    head = max(_borders(text, least, most), default=most)
    least, most = (_suffix(text, tokens, tokenizer) for tokens in (least_tokens, most_tokens))
    tail = min(_borders(text, most, least), default=most)
    return head, max(head, tail)


def _borders(text: str, first: int, last: int) -> list[int]:
    """Places between two characters where the text may be cut, all of the best kind that there is."""
    for border in _BORDERS:
        places = [match.end() for match in border.finditer(text, first, last)]
        if places := [place for place in places if first <= place < last]:
            return places
    return []


def _prefix(text: str, tokens: int, tokenizer: TextTokenizer) -> int:
    """Return the end of the first `tokens` tokens of a text."""
    characters = max(1, tokens) * _CHARACTERS_PER_TOKEN
    while True:
        encoded = tokenizer.encode(text[:characters])
        if len(encoded.ids) > tokens:
            return encoded.characters(0, tokens)[1] if tokens else 0
        if characters >= len(text):
            return len(text)
        characters *= 2


def _suffix(text: str, tokens: int, tokenizer: TextTokenizer) -> int:
    """Return the start of the last `tokens` tokens of a text."""
    characters = max(1, tokens) * _CHARACTERS_PER_TOKEN
    while True:
        start = max(0, len(text) - characters)
        encoded = tokenizer.encode(text[start:])
        if len(encoded.ids) > tokens:
            return start + encoded.characters(len(encoded.ids) - tokens, len(encoded.ids))[0] if tokens else len(text)
        if not start:
            return 0
        characters *= 2
