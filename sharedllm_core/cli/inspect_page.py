"""The page that `inspect --html` writes: one file, nothing loaded from anywhere.

The background of a text says how finely it was injected, a mark that it is evidence.
"""

from bisect import bisect_right
from html import escape
from itertools import pairwise

from ..engine.inspection import InspectedDocument, InspectedNode, Inspection
from ..generation.answer import Evidence

__all__ = ["page"]

_STYLE = """
:root { color-scheme: light; font: 16px/1.55 system-ui, sans-serif; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1d2733; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-top: 2.5rem; }
.answer { background: #f2f5f8; border-left: 4px solid #2a6fdb; padding: .7rem 1rem; white-space: pre-wrap; }
.legend span { padding: .1rem .5rem; margin-right: .4rem; border-radius: .2rem; }
ol.evidence li { margin: .3rem 0; } ol.evidence small { color: #5b6b7b; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid #dde4ea; padding: 1rem; }
mark { background: none; color: inherit; border-bottom: 3px solid #d9480f; font-weight: 600; }
.note { color: #5b6b7b; font-size: .9rem; }
"""


def page(question: str, seen: Inspection) -> str:
    """The page as HTML."""
    levels = sorted({node.level for part in seen.documents for node in part.nodes})
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(question)}</title>",
        f"<style>{_STYLE}{_level_styles(levels)}</style></head><body>",
        f"<h1>{escape(question)}</h1>",
        f'<div class="answer">{escape(seen.answer.text)}</div>',
        _figures(seen),
        _legend(seen, levels),
        _evidence_list(seen),
        *(_document(number, part, seen) for number, part in enumerate(seen.documents)),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _level_styles(levels: list[int]) -> str:
    """The finer a level, the darker."""
    shades = max(1, len(levels) - 1)
    return "".join(
        f".l{level} {{ background: hsl(48 95% {97 - round(27 * place / shades)}%); }}\n"
        for place, level in enumerate(levels)
    )


def _figures(seen: Inspection) -> str:
    usage = seen.answer.usage
    return (
        f'<p class="note">{usage.past_context_tokens:,} tokens of documents, {usage.injected_states:,} states injected '
        f"in each layer, {usage.completion_tokens:,} tokens written, finish reason {seen.answer.finish_reason}.</p>"
    )


def _legend(seen: Inspection, levels: list[int]) -> str:
    shown = []
    for level in levels:
        nodes = [node for part in seen.documents for node in part.nodes if node.level == level]
        ratio = sum(node.tokens for node in nodes) / sum(node.states for node in nodes)
        shown.append(f'<span class="l{level}">level {level}: one state for {ratio:.3g} tokens</span>')
    return f'<p class="legend">{"".join(shown)}<mark>evidence</mark></p>'


def _evidence_list(seen: Inspection) -> str:
    if not seen.answer.evidence:
        return '<p class="note">No evidence was measured.</p>'
    numbers = {part.document.id: number for number, part in enumerate(seen.documents)}
    rows = [
        f'<li><a href="#d{numbers[span.document_id]}-{span.start}">{escape(span.text)}</a> '
        f"<small>{escape(span.document_id)}, characters {span.start:,} to {span.end:,}, "
        f"{span.score:.0%} of the attention</small></li>"
        for span in seen.answer.evidence
    ]
    return f'<ol class="evidence">{"".join(rows)}</ol>'


def _document(number: int, part: InspectedDocument, seen: Inspection) -> str:
    spans = [span for span in seen.answer.evidence if span.document_id == part.document.id]
    cuts = {0, len(part.document.text)}
    cuts |= {place for node in part.nodes for place in (node.start, node.end)}
    cuts |= {place for span in spans for place in (span.start, span.end)}
    starts = [node.start for node in part.nodes]
    pieces = []
    for start, end in pairwise(sorted(cuts)):
        before = bisect_right(starts, start)
        node = part.nodes[before - 1] if before and start < part.nodes[before - 1].end else None
        pieces.append(_piece(number, part.document.text[start:end], start, node, spans))
    return f'<h2>{escape(part.document.id)}</h2><div class="text">{"".join(pieces)}</div>'


def _piece(number: int, text: str, start: int, node: InspectedNode | None, spans: list[Evidence]) -> str:
    """The text from one bound to the next: of one node at most, and inside or outside of evidence."""
    shown = escape(text)
    if any(span.start <= start < span.end for span in spans):
        anchor = f' id="d{number}-{start}"' if any(span.start == start for span in spans) else ""
        shown = f"<mark{anchor}>{shown}</mark>"
    if node is None:
        return shown
    title = f"level {node.level}: {node.tokens} tokens, {node.states} states, {node.score:.1%} of the attention"
    return f'<span class="l{node.level}" title="{title}">{shown}</span>'
