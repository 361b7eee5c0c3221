"""Short answers in JSON: calls of functions, and small objects."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from .. import pools
from ..phrasing import pick_own, pick_shared
from ._draft import Draft, Fact, Scene, state
from ._tools import TOOLS, Tool

__all__ = ["CALL_QUESTIONS", "JSON_QUESTIONS", "compact", "json_object", "tool_call"]

_CALL_SHAPE = '{{"name": …, "arguments": {{…}}}}'

CALL_QUESTIONS = (
    "You can call {signature}. {request} Answer with the call alone, as JSON: " + _CALL_SHAPE,
    "Function: {signature}\nRequest: {request}\nReply with a JSON object that has the fields name and arguments.",
    "{request}\nUse the function {signature} and answer only with " + _CALL_SHAPE,
    "There is one function, {signature}. Write the call for this request as JSON with name and arguments: {request}",
    "Tools:\n- {signature}\n\n{request}\n\nOutput the call as " + _CALL_SHAPE,
    "{request} For this, call {signature}; the answer is compact JSON with the keys name and arguments.",
    "Translate the request into a call of {signature}. Request: {request} Format: " + _CALL_SHAPE,
    "The assistant may use {signature}. The user says: {request} Give the call in the form " + _CALL_SHAPE,
    "Available function: {signature}. {request} Respond with JSON, name first and then arguments.",
    "As a JSON object with name and arguments, what is the call of {signature} that does this? {request}",
)

JSON_QUESTIONS = (
    "Answer with a JSON object that has these fields: {fields}.",
    "Give the following as compact JSON: {fields}.",
    "Fill in a JSON object. Its fields are {fields}.",
    "Return one line of JSON, and nothing else, with {fields}.",
    "Extract as JSON: {fields}.",
    "I need a JSON object with the fields {fields}.",
    "Write a JSON object with exactly these fields, in this order: {fields}.",
    "Which JSON object holds {fields}?",
    "Find what is asked for and put it into a JSON object: {fields}.",
    "From the documents, build a JSON object of these fields: {fields}.",
)


def compact(value: Any) -> str:
    """JSON without spaces, as answers have it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def tool_call(scene: Scene) -> Draft:
    """A call of a function whose arguments stand in the question, all of them or all but one."""
    tool = scene.rng.choice(_tools(scene))
    given = {name: draw(scene.rng) for name, draw in tool.given.items()}
    words = {name: f'"{text}"' if tool.types[name] == "string" else text for name, text in given.items()}
    needed: tuple[Fact, ...] = ()
    kind_name = tool.name
    if tool.looked_up:
        kind = scene.rng.choice(scene.kinds)
        key = kind.key.draw(scene.rng)
        needed = (state(kind, key, kind.value.draw(scene.rng), scene),)
        words[tool.looked_up] = pick_own(kind.phrases, scene.split, scene.rng).format(key=key)
        kind_name = kind.name
    request = pick_shared(tool.requests, scene.split, scene.rng).format(**words)
    request = request[0].upper() + request[1:]
    return Draft(
        form="tool_call",
        kind=kind_name,
        question=pick_shared(CALL_QUESTIONS, scene.split, scene.rng).format(signature=tool.signature, request=request),
        answer=partial(_call, tool, given),
        needed=needed,
        sorts=frozenset({kind_name} if needed else ()),
    )


def _tools(scene: Scene) -> list[Tool]:
    """With held-out kinds, either the kind that is looked up is a new one, or the function is."""
    if scene.split == "held_out_kind":
        return [tool for tool in TOOLS if tool.looked_up or tool.held_out]
    return [tool for tool in TOOLS if not tool.held_out]


def _call(tool: Tool, given: dict[str, str], needed: Sequence[Fact]) -> str:
    texts = dict(given)
    if tool.looked_up:
        texts[tool.looked_up] = needed[0].value
    arguments = {name: int(texts[name]) if kind == "integer" else texts[name] for name, kind in tool.types.items()}
    return compact({"name": tool.name, "arguments": arguments})


def json_object(scene: Scene) -> Draft:
    """A JSON object of one or two values from the documents and, at times, a reference from the question."""
    kinds = [scene.rng.choice(scene.kinds) for _ in range(scene.rng.randint(1, 2))]
    same = len({kind.name for kind in kinds}) < len(kinds)
    asked: list[tuple[str, str]] = []
    facts: list[Fact] = []
    for place, kind in enumerate(kinds, start=1):
        key = kind.key.draw(scene.rng)
        facts.append(state(kind, key, kind.value.draw(scene.rng), scene))
        phrase = pick_own(kind.phrases, scene.split, scene.rng).format(key=key)
        asked.append((f"{kind.name}_{place}" if same else kind.name, phrase))
    values = {field: fact.value for (field, _), fact in zip(asked, facts, strict=True)}
    if len(kinds) == 1 or scene.rng.random() < 0.4:
        reference = pools.LITERAL.draw(scene.rng)
        at = scene.rng.choice([0, len(asked)])
        asked.insert(at, ("reference", f'the text "{reference}"'))
        values["reference"] = reference
    fields = ", ".join(f'"{field}" ({phrase})' for field, phrase in asked)
    answer = compact({field: values[field] for field, _ in asked})
    return Draft(
        form="json",
        kind="+".join(dict.fromkeys(kind.name for kind in kinds)),
        question=pick_shared(JSON_QUESTIONS, scene.split, scene.rng).format(fields=fields),
        answer=lambda _: answer,
        needed=tuple(facts),
        sorts=frozenset(kind.name for kind in kinds),
    )
