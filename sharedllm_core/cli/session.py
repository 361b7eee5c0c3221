"""Answering on the command line: one question, or one after the other, each with those before it."""

import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import typer

from ..engine.answering import Question
from ..engine.engine import SharedLLMEngine
from ..errors import SharedLLMError
from ..generation.answer import ThoughtPiece
from ..generation.settings import AnswerOptions
from ..text.library import Library
from .output import answer_json, print_evidence, print_json, print_thoughts, print_usage, say, visible
from .wording import current_wording

__all__ = ["Session"]

_BYTE_ORDER_MARK = "\ufeff"  # begins text files of Windows, and what its shells pipe


class Session:
    """Questions to one engine about one library.

    Args:
        engine, library: what answers, and from what.
        as_json: print each answer as an object.
        settings: of the answers.
    """

    def __init__(
        self, engine: SharedLLMEngine, library: Library | None, as_json: bool, settings: AnswerOptions
    ) -> None:
        self.engine = engine
        self.library = library
        self.as_json = as_json
        self.settings = settings

    def check(self, question: Question) -> None:
        """Raise what is wrong with model, settings or question, before documents are read for long."""
        self.engine.stream(question, self.library, **self.settings).close()

    def answer(self, asked: str, question: Question, *, indent: int | None = None) -> str:
        """Print the answer to `question`, whose last words are `asked`, while it is written; its text.

        Thoughts are printed on standard error.
        """
        begin = time.perf_counter()
        with self.engine.stream(question, self.library, **self.settings) as stream:
            for piece in stream if self.as_json else _with_marked_thoughts(stream.pieces()):
                if not self.as_json:
                    sys.stdout.write(visible(piece))
                    sys.stdout.flush()
        answer = stream.answer
        assert answer is not None
        if self.as_json:
            print_json(answer_json(asked, answer), indent=indent)
        else:
            sys.stdout.write("\n")
            sys.stdout.flush()
            print_evidence(answer)
            print_usage(answer, time.perf_counter() - begin)
        return answer.text

    def run(self) -> None:
        """Answer what is typed until an empty line, or what is piped until its end.

        Raises:
            typer.BadParameter: a pipe without a question.
        """
        terminal = sys.stdin.isatty()
        if terminal:
            with suppress(ImportError):
                import readline  # noqa: F401  # editing and recalling lines
            say("Ask; an empty line ends.")
        messages: list[dict[str, str]] = []
        while asked := self._typed() if terminal else _piped():
            messages.append({"role": "user", "content": asked})
            try:
                text = self.answer(asked, messages)
            except SharedLLMError as error:
                if not terminal:
                    raise
                error.wording = current_wording()
                say(f"Error: {error}")
                messages.pop()
                continue
            messages.append({"role": "assistant", "content": text})
        if not messages and not terminal:
            raise typer.BadParameter(
                "there is none: give it as an argument, or pipe questions, one a line", param_hint="QUESTION"
            )

    def _typed(self) -> str:
        prompt = "\n> "
        if self.as_json or not sys.stdout.isatty():  # standard output is for answers alone
            sys.stderr.write(prompt)
            sys.stderr.flush()
            prompt = ""
        try:
            return input(prompt).strip()
        except EOFError:
            sys.stderr.write("\n")
            return ""


def _with_marked_thoughts(pieces: Iterator[str]) -> Iterator[str]:
    """Print thoughts as a section of their own on standard error, and yield the pieces of the answer."""
    thinking = False
    for piece in pieces:
        if isinstance(piece, ThoughtPiece):
            if not thinking:
                say("Thoughts:")
            thinking = True
            print_thoughts(piece)
            continue
        if thinking:
            print_thoughts("\n\n")
        thinking = False
        yield piece
    if thinking:
        print_thoughts("\n")


def _piped() -> str:
    lines = (line.strip().removeprefix(_BYTE_ORDER_MARK).strip() for line in sys.stdin)
    return next((line for line in lines if line), "")
