"""Long texts cut into documents, at places that depend on the text alone."""

import re
from collections import deque
from zlib import crc32

__all__ = ["document_parts"]

_NEIGHBOUR_CHARACTERS = 1_500  # to either side of a cut; parts are about twice as long
_TITLE = re.compile(r"# [^\n]+\n\n")  # a paragraph of its own: a comment in code has code below it
#: Between paragraphs, and between a label such as "Context:" and a title.
_BORDER = re.compile(r"(?<=\n\n)|(?<=[:：] )(?=# [^\n]+\n\n)")


def document_parts(text: str) -> list[str]:
    """Cut a text before titles (`# …` as a paragraph), and text without a title between paragraphs.

    Whether there is a cut depends only on the paragraphs around it. When an application joins its documents in another
    order next time, most parts are the same and cached: all of them where documents begin with a title, and the same as
    if these documents were given as such; otherwise all but those where documents meet.

    Returns:
        The parts, without white space at their ends.
    """
    paragraphs = [paragraph for paragraph in _BORDER.split(text) if paragraph]
    cuts = _cuts(paragraphs)
    parts: list[list[str]] = [[]]
    for number, paragraph in enumerate(paragraphs):
        current = parts[-1]
        is_titled = bool(current) and _TITLE.fullmatch(current[0]) is not None
        if current and (_TITLE.fullmatch(paragraph) or (number in cuts and not is_titled)):
            parts.append([])
        parts[-1].append(paragraph)
    joined = ("".join(part).strip() for part in parts)
    return [part for part in joined if part]


def _cuts(paragraphs: list[str]) -> set[int]:
    """Numbers of the paragraphs whose hash is the least of all that begin within 1,500 characters of theirs."""
    # Without the blank line that follows a paragraph, except at the end of a text.
    hashes = [crc32(paragraph.rstrip().encode("utf-8", "surrogatepass")) for paragraph in paragraphs]
    starts = [0]
    for paragraph in paragraphs:
        starts.append(starts[-1] + len(paragraph))
    cuts: set[int] = set()
    window: deque[int] = deque()  # numbers around the current paragraph; their hashes grow, so the first is the least
    ahead = 0
    for number in range(len(paragraphs)):
        while ahead < len(paragraphs) and starts[ahead] - starts[number] <= _NEIGHBOUR_CHARACTERS:
            while window and hashes[window[-1]] > hashes[ahead]:
                window.pop()
            window.append(ahead)
            ahead += 1
        while starts[number] - starts[window[0]] > _NEIGHBOUR_CHARACTERS:
            window.popleft()
        if window[0] == number:
            cuts.add(number)
    return cuts
