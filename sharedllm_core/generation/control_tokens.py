"""Keep the text of a conversation from becoming control tokens of the model.

A chat template writes control tokens such as `<|im_start|>` around messages, and the tokenizer parses them in the
rendered text. Without further care it parses them in the messages as well: a user, a tool or a quoted document could
end its own message and begin a system message. Therefore a private-use character, the marker, is inserted into every
control token's text in the conversation before the template is applied. The rendered text is split at the markers,
which are removed, and its pieces are tokenized one by one: only the template's own control tokens are complete in one.

A template may leave out, trim and escape the text of messages. One that changes it otherwise, for example to lower
case, could still make a control token of it.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import accumulate, groupby, islice, pairwise
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from tokenizers import NormalizedString

from ..errors import InputError
from ..text.tokenization import TextTokenizer
from .running_text import RunningText

__all__ = ["ControlTokens", "render_as_text"]

_T = TypeVar("_T")


class ControlTokens:
    """The control tokens of a tokenizer, and the search for them in text.

    Args:
        tokenizer: the model's tokenizer. A control token of one character cannot be split, and is left out.
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        tokens = [token for token in tokenizer.control_tokens if len(token.content) > 1]
        self._contents = {token.content for token in tokens}
        self._lengths = sorted({len(content) for content in self._contents})
        self._search = _compile_search(self._contents)
        # A token that is parsed after normalization is searched for there: "＜tool＞" may become "<tool>".
        self._normalizer = tokenizer.tokenizer.backend_tokenizer.normalizer
        normalized = [token.content for token in tokens if token.normalized and self._normalizer is not None]
        self._search_normalized = _compile_search({self._normalizer.normalize_str(content) for content in normalized})

    @classmethod
    def for_tokenizer(cls, tokenizer: TextTokenizer) -> "ControlTokens":
        """Return the control tokens of a tokenizer; the search is compiled once."""
        if tokenizer not in _COMPILED:
            _COMPILED[tokenizer] = cls(tokenizer)
        return _COMPILED[tokenizer]

    def places_inside(self, text: str) -> set[int]:
        """Find positions such that each occurrence of a control token in `text` has one inside."""
        places = {start + 1 for start in _starts(self._search, text)}
        if self._search_normalized:
            normalized = NormalizedString(text)
            self._normalizer.normalize(normalized)
            for start in _starts(self._search_normalized, normalized.normalized):
                first_character: NormalizedString | None = normalized.slice((0, start + 1))
                places.add(len(first_character.original) if first_character else 0)
        return places

    def present(self, text: RunningText) -> set[str]:
        """Return the control tokens that the pieces of a running text contain."""
        candidates = (
            piece[start : start + length]
            for piece in text.pieces
            for start in _starts(self._search, piece)
            for length in self._lengths
        )
        return self._contents.intersection(candidates)


_COMPILED: WeakKeyDictionary[TextTokenizer, ControlTokens] = WeakKeyDictionary()


def render_as_text(
    conversation: _T, render: Callable[[_T], str], tokens: ControlTokens, template: str = ""
) -> RunningText:
    """Render a conversation such that no control token in a piece of the running text comes from the conversation.

    Args:
        conversation: strings in nested lists, tuples and mappings, whose keys are text as well.
        render: renders a conversation of the same structure.
        tokens: the control tokens of the model's tokenizer.
        template: the chat template.

    Raises:
        InputError: the conversation contains every private-use character, so that none can be the marker.
    """
    texts = set(_texts(conversation))
    marker, border_marker = _choose_markers([*texts, template])
    inside = {text: dict.fromkeys(places, marker) for text in texts if (places := tokens.places_inside(text))}
    rendered = render(_insert(conversation, inside))
    running_text = RunningText(tuple(marker.split(rendered)) if inside else (rendered,))

    # A control token can also form from the end or the start of a text and the template's text beside it.
    present = tokens.present(running_text)
    borders = {
        text: dict.fromkeys(places, border_marker) for text in texts if (places := _border_places(text, present))
    }
    if not borders:
        return running_text
    both = {text: borders.get(text, {}) | inside.get(text, {}) for text in {*borders, *inside}}
    with_borders = render(_insert(conversation, both))
    if "".join(border_marker.split(with_borders)) != rendered:
        return running_text  # the template decides by one of these texts, such as "string" in a schema
    pieces = [border_marker.split(piece) for piece in marker.split(with_borders)]
    return RunningText(tuple(part for parts in pieces for part in _join_unless_formed(parts, present)))


class _Marker:
    """A private-use character at positions in text. A template may write it as an escape, as JSON and Python do."""

    def __init__(self, character: str) -> None:
        self.character = character
        self._written = re.compile(rf"{character}|\\+u{ord(character):04x}")

    def split(self, text: str) -> list[str]:
        return self._written.split(text)


def _choose_markers(texts: Collection[str]) -> tuple[_Marker, _Marker]:
    """Choose two private-use characters that the texts do not contain."""
    unused = (
        chr(code)
        for code in range(0xE000, 0xF900)
        if not any(chr(code) in text for text in texts) and not any(f"u{code:04x}" in text for text in texts)
    )
    markers = [_Marker(character) for character in islice(unused, 2)]
    if len(markers) < 2:
        raise InputError("the messages contain every private-use character of Unicode", remedy="leave some out")
    return markers[0], markers[1]


def _texts(value: Any) -> Iterator[str]:
    """Iterate over all strings of a conversation."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value))
        yield from _texts(list(value.values()))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _insert(value: Any, markers: Mapping[str, Mapping[int, _Marker]]) -> Any:
    """Copy a conversation with markers at positions of its texts; `markers` has them by text and position."""
    if isinstance(value, str):
        places = markers.get(value, {})
        bounds = pairwise([0, *sorted(places), len(value)])
        return "".join((places[start].character if start in places else "") + value[start:end] for start, end in bounds)
    if isinstance(value, Mapping):
        return {_insert(key, markers): _insert(inner, markers) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_insert(inner, markers) for inner in value)
    return value


def _border_places(text: str, tokens: Collection[str]) -> set[int]:
    """Find positions where a text could be in a control token together with text before or after it.

    Each position is inside the token and beside a character of the text. The template may trim the text.
    """
    places = set()
    for start, end in {(0, len(text)), (len(text) - len(text.lstrip()), len(text.rstrip()))}:
        for token in tokens:
            for length in range(1, min(len(token), end - start + 1)):
                if text.endswith(token[:length], start, end):
                    places.add(end - length + 1)
                if text.startswith(token[-length:], start, end):
                    places.add(start + length - 1)
            if start < end and end - start < len(token) and text[start:end] in token:
                places.add(start + 1)
    return places


def _join_unless_formed(parts: list[str], tokens: Collection[str]) -> Iterator[str]:
    """Join the parts of a piece, except where a control token would form across their border."""
    piece = "".join(parts)
    formed = (
        place
        for place in accumulate(map(len, parts))
        if any(piece.find(token, max(place - len(token) + 1, 0), place + len(token) - 1) >= 0 for token in tokens)
    )
    for start, end in pairwise([0, *formed, len(piece)]):
        yield piece[start:end]


def _starts(search: re.Pattern[str] | None, text: str) -> Iterator[int]:
    """Iterate over the positions where a control token starts, also those that overlap."""
    place = 0
    while search and (match := search.search(text, place)):
        yield match.start()
        place = match.start() + 1


def _compile_search(contents: Collection[str]) -> re.Pattern[str] | None:
    """Compile the search for the start of any of several strings; `None` for no strings."""
    return re.compile(_prefix_tree(sorted(contents))) if contents else None


def _prefix_tree(contents: Iterable[str]) -> str:
    """Write strings as a pattern that looks at each character once, also where hundreds of them begin alike."""
    branches = []
    for first, group in groupby(contents, key=lambda content: content[:1]):
        if not first:
            return ""  # a shorter string ends here, so that a match is certain
        branches.append(re.escape(first) + _prefix_tree(content[1:] for content in group))
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"
