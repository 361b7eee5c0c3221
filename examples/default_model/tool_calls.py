"""Rows with tools: requests that a call answers, calls whose results are there, and questions that need no tool.

The tools are those of `tools.yaml`, under one of their names, and no row has the same set of them as another.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import yaml
from row_files import SearchedRow

from sharedllm_core.generation.tool_notations.notation import ToolNotation
from sharedllm_core.generation.tools import Tools

__all__ = ["CallRows"]

_MOST_OFFERED = 5
_SYSTEM = (
    "",
    "",
    "You are a helpful assistant.",
    "Answer from the documents.",
    "Be brief.",
    "Use the tools where they help.",
    "Answer from the manual, or call a function.",
    "You help the people of an office.",
)
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_AFTER_RESULT, _AFTER_EARLIER_CALL, _NO_TOOL = 0.35, 0.15, 0.22  # shares of rows


class CallRows:
    """Makes rows.

    Args:
        notation: how the base calls tools.
        path: of the tools.
    """

    def __init__(self, notation: ToolNotation, path: Path = Path(__file__).parent / "tools.yaml") -> None:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
        self._pools: dict[str, Any] = read["pools"]
        self._tools: list[dict[str, Any]] = read["tools"]
        self._notation = notation

    def rows(self, searched: Sequence[SearchedRow], count: int, rng: Random) -> Iterator[dict[str, Any]]:
        """Yield rows with passages of the documents of other rows; a question that needs no tool is one of theirs.

        Passages are those that the search finds for a request, as the engine quotes them: whether a tool is needed must
        not show in whether they have anything to do with it.
        """
        for _ in range(count):
            row, find = rng.choice(searched)
            offered = [_Offered(tool, self._pools, rng) for tool in self._offered(rng)]
            system = self._notation.describe(Tools(tuple(tool.schema for tool in offered)))
            if said := rng.choice(_SYSTEM):
                system += f"\n\n{said}"
            messages = [{"role": "system", "content": system}]
            if rng.random() < _AFTER_EARLIER_CALL:
                messages += [*self._called(rng.choice(offered), rng)]
            if rng.random() < _NO_TOOL:
                turn = rng.choice(row["turns"])
                messages.append({"role": "user", "content": turn["question"]})
                yield {"documents": row["documents"], "question": messages, "answer": turn["answer"]}
                continue
            exchange = self._called(rng.choice(offered), rng)
            end = 3 if rng.random() < _AFTER_RESULT / (1 - _NO_TOOL) else 1
            documents = find(exchange[0]["content"]) or row["documents"]
            yield {"documents": documents, "question": messages + exchange[:end], "answer": exchange[end]["content"]}

    def _offered(self, rng: Random) -> list[dict[str, Any]]:
        """A few tools of different names."""
        offered: list[dict[str, Any]] = []
        for tool in rng.sample(self._tools, rng.randint(1, _MOST_OFFERED)):
            if not any(set(tool["names"]) & set(other["names"]) for other in offered):
                offered.append(tool)
        return offered

    def _called(self, tool: "_Offered", rng: Random) -> list[dict[str, str]]:
        """Return a request, the call, its result and the answer to it."""
        call = self._notation.format_calls([{"function": {"name": tool.name, "arguments": tool.arguments}}])
        result = tool.fill(rng.choice(tool.returns))
        said = result if result.endswith((".", "?")) else f"{result}."
        return [
            {"role": "user", "content": tool.fill(rng.choice(tool.requests))},
            {"role": "assistant", "content": call},
            {"role": "tool", "content": result},
            {"role": "assistant", "content": said[:1].upper() + said[1:]},
        ]


class _Offered:
    """A tool under one of its names, with arguments."""

    def __init__(self, tool: Mapping[str, Any], pools: Mapping[str, Any], rng: Random) -> None:
        self.name: str = _style(rng.choice(tool["names"]), rng)
        self.requests: Sequence[str] = tool["requests"]
        self.returns: Sequence[str] = tool["returns"]
        self._does = rng.choice(tool["does"])
        self._parameters: Mapping[str, Mapping[str, Any]] = tool["parameters"]
        self._pools = pools
        self._rng = rng
        names: dict[str, str] = {}
        for role, parameter in self._parameters.items():
            names[role] = rng.choice([name for name in parameter["names"] if name not in names.values()])
        self._names = names
        self._is_described = rng.random() < 0.3

    @cached_property
    def _values(self) -> dict[str, str]:
        return {role: self._draw(parameter["values"]) for role, parameter in self._parameters.items()}

    @property
    def arguments(self) -> dict[str, str | int]:
        """By the names of the parameters."""
        return {
            self._names[role]: int(self._values[role]) if parameter.get("type") == "integer" else self._values[role]
            for role, parameter in self._parameters.items()
        }

    @property
    def schema(self) -> dict[str, Any]:
        """As tools are described to a model."""
        properties = {}
        for role, parameter in self._parameters.items():
            properties[self._names[role]] = {"type": parameter.get("type", "string")}
            if self._is_described:
                properties[self._names[role]]["description"] = f"The {self._names[role].replace('_', ' ')}."
        parameters = {"type": "object", "properties": properties, "required": list(properties)}
        return {"name": self.name, "description": self._does, "parameters": parameters}

    def fill(self, text: str) -> str:
        """A text with the arguments in their places, and other values drawn."""
        filled = _PLACEHOLDER.sub(lambda found: self._value(found[1]), text)
        return filled[:1].upper() + filled[1:]

    def _value(self, role: str) -> str:
        if role == "name":
            return self.name
        return self._values[role] if role in self._values else self._draw(role)

    def _draw(self, pool: str) -> str:
        values = self._pools[pool]
        if isinstance(values, list):
            return str(self._rng.choice(values))
        low, high = map(int, values.split("-"))
        return str(self._rng.randint(low, high))


def _style(name: str, rng: Random) -> str:
    """A name as some write it."""
    if rng.random() < 0.8:
        return name
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
