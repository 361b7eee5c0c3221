"""How commands print: results on standard output, everything else on standard error.

rich is imported when something is printed with it, since help and completion need none of it.
"""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..generation.answer import Answer, Evidence

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = [
    "answer_json",
    "counted",
    "human_bytes",
    "print_cut_off",
    "print_error",
    "print_evidence",
    "print_json",
    "print_thoughts",
    "print_usage",
    "print_warning",
    "say",
    "visible",
]

_SHOWN_CHARACTERS = 300
_UNSEEN = {
    code: "\N{REPLACEMENT CHARACTER}"
    for code in (*range(32), *range(127, 160), *range(0xD800, 0xE000))
    if chr(code) not in "\n\t"
}


def visible(text: str) -> str:
    """Replace control characters, which could move a terminal's cursor or change its colours."""
    return text.translate(_UNSEEN)


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """One JSON value on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=indent) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """A line on standard error."""
    _console(stderr=True).print(_styled(visible(text), "dim"))


def print_thoughts(piece: str) -> None:
    """Print a piece of thoughts on standard error."""
    _console(stderr=True).print(_styled(visible(piece), "dim"), end="")


def print_error(text: str) -> None:
    """Print an error in one line on standard error."""
    _print_message("Error: ", "bold red", text)


def print_warning(text: str) -> None:
    """Print a warning in one line on standard error."""
    _print_message("Warning: ", "bold yellow", text)


def _print_message(head: str, style: str, text: str) -> None:
    shown = _styled(head, style)
    shown.append(visible(text), style="default")
    _console(stderr=True).print(shown)


def _console(*, stderr: bool = False) -> "Console":
    from rich.console import Console

    return Console(stderr=stderr, soft_wrap=True)


def _styled(text: str, style: str) -> "Text":
    from rich.text import Text

    return Text(text, style=style)


def answer_json(question: str, answer: Answer) -> dict[str, Any]:
    """An answer as plain values."""
    return {
        "question": question,
        "answer": answer.text,
        "thoughts": answer.thoughts,
        "finish_reason": answer.finish_reason,
        "usage": asdict(answer.usage),
        "reading": asdict(answer.reading),
        "evidence": [asdict(span) for span in answer.evidence],
        "moved": [dict(message) for message in answer.moved],
    }


def print_evidence(answer: Answer) -> None:
    """Where the answer stands: document, characters, share of the attention or of what supports it, text."""
    console = _console()
    spans = answer.evidence
    share = "attention" if answer.reading.mode == "injected" else "evidence"
    if spans:
        console.print()
    for number, span in enumerate(spans, start=1):
        head = _styled(f"[{number}] ", "bold")
        head.append(visible(span.document_id), style="cyan")
        head.append(f"  {_place(span)}, {span.score:.0%} of the {share}", style="dim")
        console.print(head)
        text = visible(" ".join(span.text.split()))
        shown = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " …"
        console.print(_styled(f"    {shown}", ""))


def _place(span: Evidence) -> str:
    """Where a span stands: the characters of its file or, where the file is not text, of its text, and its place."""
    start, end = span.original or (span.start, span.end)
    characters = f"characters {start:,} to {end:,}"
    return f"{visible(span.place)}, {characters}" if span.place else characters


def print_usage(answer: Answer, seconds: float) -> None:
    """What the answer cost, in one line on standard error."""
    usage, reading = answer.usage, answer.reading
    documents = "no documents"
    if reading.total_tokens:
        documents = f"{reading.total_tokens:,} tokens of documents"
        if reading.mode != "quoted":
            cached = reading.cached_tokens / reading.total_tokens
            documents += f" ({cached:.0%} cached), {reading.injected_states:,} states injected"
        if reading.mode != "injected":
            documents += f", {reading.quoted_tokens:,} quoted"
        if reading.unread_tokens:
            documents += f", {reading.unread_tokens:,} not read"
    thoughts = f" ({usage.thought_tokens:,} of them thoughts)" if usage.thought_tokens else ""
    say(
        f"{documents}, {usage.running_text_tokens:,} tokens of prompt, {usage.completion_tokens:,} written{thoughts}, "
        f"{seconds:.1f} s"
    )
    print_cut_off(answer)
    if answer.moved:
        how = "searched like documents" if reading.mode == "quoted" else "read as past context"
        say(f"{counted(len(answer.moved), 'older message')} did not fit into the window: {how}")


def print_cut_off(answer: Answer) -> None:
    """Print a warning if the answer ended because its token budget was used up."""
    if answer.finish_reason == "length":
        tokens = counted(answer.usage.completion_tokens, "token")
        print_warning(f"the answer was cut off after {tokens}; raise --max-new-tokens")


def counted(number: int, name: str) -> str:
    """A number of things: `1 tree`, `2,000 trees`."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def human_bytes(count: int) -> str:
    """A number of bytes for people."""
    if count < 0:
        return "unknown"
    size = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
