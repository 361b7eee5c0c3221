"""Rows for `sharedllm train` that are made: look-ups of facts in real texts, and calls of tools.

    python examples/default_model/made_questions.py --texts novels_train.jsonl.xz tech_docs.jsonl.xz --out made.jsonl

Look-ups are those of `sharedllm_core.training.tasks`, with the further kinds of fact in `kinds/*.yaml`. Of calls
there are four sorts: a request that names every argument, one whose argument stands in the documents, a question beside
tools that needs none of them, and the answer after a tool result.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from row_files import write_rows

from sharedllm_core.engine.loading import load_tokenizer_from
from sharedllm_core.engine.model_names import checkpoint_location
from sharedllm_core.generation.tool_notations.notation import ToolNotation
from sharedllm_core.generation.tools import Tools
from sharedllm_core.text.tokenization import TextTokenizer
from sharedllm_core.training.tasks import (
    KINDS,
    FactKind,
    TaskSettings,
    generate_tasks,
    read_kinds,
    read_texts,
)
from sharedllm_core.training.tasks.forms import TOOLS, Tool

_LENGTHS = (500, 700, 1000)  # tokens
_QUESTIONS = 4  # of a row
_FORMS = ("single", "single", "multi_key", "multi_value", "two_hop", "counting", "unanswerable", "tool_call", "json")
_RESULTS = (
    "done",
    "ok: {name} was called",
    "accepted, number {number}",
    "{number} in the queue",
    "finished at {number}",
)


def main() -> None:
    """Write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", nargs="+", required=True, help="files of texts that facts are placed in")
    parser.add_argument(
        "--base", default="smollm2", help="whose tokens are counted, and whose notation of calls is used"
    )
    parser.add_argument("--look-ups", type=int, default=600, help="how many rows")
    parser.add_argument("--calls", type=int, default=300, help="how many rows")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tokenizer = TextTokenizer(load_tokenizer_from([checkpoint_location(options.base)]))
    kinds = read_kinds(Path(__file__).parent / "kinds")
    rng = Random(options.seed)  # noqa: S311 (no secret)
    rows = [*look_ups(options, tokenizer, kinds), *calls(options.calls, tokenizer, kinds, rng)]
    rng.shuffle(rows)
    write_rows(options.out, rows)
    print(f"{len(rows):,} rows")


def look_ups(
    options: argparse.Namespace, tokenizer: TextTokenizer, kinds: tuple[FactKind, ...]
) -> Iterator[dict[str, Any]]:
    """Conversations about facts in short documents."""
    texts = list(read_texts(options.texts))
    for length in _LENGTHS:
        settings = TaskSettings(
            length=length,
            count_tokens=tokenizer.count,
            questions_per_set=_QUESTIONS,
            forms=_FORMS,
            further_kinds=kinds,
            distractors=2,
            passage_characters=(400, 1600),
        )
        wanted = options.look_ups // len(_LENGTHS)
        tasks = generate_tasks(texts, settings, options.seed + length, count=wanted * _QUESTIONS)
        for group in zip(*[tasks] * _QUESTIONS, strict=False):
            yield {
                "documents": [{"title": document["id"], "text": document["text"]} for document in group[0].documents],
                "turns": [{"question": task.question, "answer": task.answer} for task in group],
            }


def calls(count: int, tokenizer: TextTokenizer, kinds: tuple[FactKind, ...], rng: Random) -> Iterator[dict[str, Any]]:
    """Rows with tools."""
    notation = ToolNotation.for_tokenizer(tokenizer)
    known = [tool for tool in TOOLS if not tool.held_out]
    train = [*[kind for kind in KINDS.values() if not kind.held_out], *kinds]
    for _ in range(count):
        offered = rng.sample(known, rng.randint(1, 4))
        stated = [_stated(rng.choice(train), rng) for _ in range(rng.randint(3, 8))]
        documents = [{"title": f"note {n}", "text": text} for n, (text, _, _, _) in enumerate(stated)]
        system = {"role": "system", "content": notation.describe(Tools(tuple(map(_schema, offered))))}
        if rng.random() < 0.2:
            _, question, _, value = rng.choice(stated)
            yield {"documents": documents, "question": [system, _user(question)], "answer": value}
            continue
        tool = rng.choice(offered)
        request, arguments = _request(tool, rng.choice(stated), rng)
        called = {"function": {"name": tool.name, "arguments": arguments}}
        call = notation.format_calls([called])
        messages = [system, _user(request)]
        if rng.random() < 0.25:
            result = rng.choice(_RESULTS).format(name=tool.name, number=rng.randint(2, 9999))
            messages += [{"role": "assistant", "content": call}, {"role": "tool", "content": result}]
            call = f"{result[0].upper()}{result[1:]}."
        yield {"documents": documents, "question": messages, "answer": call}


def _stated(kind: FactKind, rng: Random) -> tuple[str, str, str, str]:
    """A sentence that says a fact, a question for it, a phrase that means its value, and the value."""
    plain = [fact for fact in kind.facts if "{key2}" not in fact and "{value2}" not in fact] or list(kind.facts)
    key, value = kind.key.draw(rng), kind.value.draw(rng)
    more = {f"{name}{n}": getattr(kind, name).draw(rng) for name in ("key", "value") for n in (2, 3)}
    text = rng.choice(plain).format(key=key, value=value, **more)
    return text, rng.choice(kind.questions).format(key=key), rng.choice(kind.phrases).format(key=key), value


def _request(tool: Tool, fact: tuple[str, str, str, str], rng: Random) -> tuple[str, dict[str, Any]]:
    given = {name: draw(rng) for name, draw in tool.given.items()}
    words = {
        name: f'"{text}"' if tool.types[name] == "string" and rng.random() < 0.5 else text
        for name, text in given.items()
    }
    if tool.looked_up:
        words[tool.looked_up], given[tool.looked_up] = fact[2], fact[3]
    request = rng.choice(tool.requests).format(**words)
    typed = {name: int(given[name]) if kind == "integer" else given[name] for name, kind in tool.types.items()}
    return request[0].upper() + request[1:], typed


def _schema(tool: Tool) -> dict[str, Any]:
    properties = {name: {"type": kind} for name, kind in tool.types.items()}
    words = tool.name.replace("_", " ").capitalize()
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"name": tool.name, "description": f"{words}.", "parameters": parameters}


def _user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


if __name__ == "__main__":
    main()
