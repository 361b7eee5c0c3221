"""Text of HTML pages."""

import re

from ..extracted import Extracted

__all__ = ["read_html"]

_BLOCKS = (
    """
address article aside blockquote dd details dialog div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6
header hr li main nav ol option p pre section summary table tbody tfoot thead title tr ul
""".strip()
    .replace("\n", " ")
    .split(" ")
)


def read_html(content: bytes) -> Extracted:
    """Extract what a browser shows."""
    from bs4 import BeautifulSoup

    page = BeautifulSoup(content, "html.parser")
    for invisible in page(["script", "style", "noscript", "template", "head"]):
        invisible.decompose()
    for preformatted in page("pre"):
        preformatted.insert_before("\n")
    for text in page.find_all(string=True):
        if text.find_parent("pre") is None:  # collapse white space, as a browser does
            text.replace_with(re.sub(r"\s+", " ", text))
    for block in page([*_BLOCKS, "br"]):  # break lines where a browser does
        block.insert_before("\n")
        block.insert_after("\n")
    for cell in page(["td", "th"]):
        cell.insert_after(" ")
    lines = (line.strip() for line in page.get_text().splitlines())
    return Extracted("\n".join(line for line in lines if line))
