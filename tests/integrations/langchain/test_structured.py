"""Structured output of classes that contain themselves, which LangChain's own conversion leaves open."""

import pytest
from langchain_core.tools import tool
from pydantic import BaseModel, Field

from sharedllm_core import Constraint
from sharedllm_integrations.langchain import ChatSharedLLM
from sharedllm_integrations.langchain.structured import openai_tools

QUESTION = "What is the notice period?"


class Part(BaseModel):
    """A part of a building."""

    area: float = Field(gt=0)
    parts: list["Part"] = []
    within: "Part | None" = None


class Site(BaseModel):
    """A building."""

    main: Part


@tool
def insure(part: Part) -> str:
    """Insure it."""
    return str(part.area)


@pytest.mark.parametrize("schema", [Part, Site])
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_a_class_that_contains_itself_is_kept_to_at_every_depth(engine, schema, method):
    for seed in range(4):
        llm = ChatSharedLLM(engine=engine, temperature=9.0, seed=seed, max_tokens=90)
        assert isinstance(llm.with_structured_output(schema, method=method).invoke(QUESTION), schema)


@pytest.mark.parametrize("kind", [Part, Site, insure])
def test_a_tool_of_a_class_that_contains_itself_refers_to_it(kind):
    parameters = openai_tools([kind])[0]["function"]["parameters"]
    assert parameters["$defs"]["Part"]["properties"]["parts"]["items"] == {"$ref": "#/$defs/Part"}
    assert parameters["type"] == "object"
    Constraint.json_schema(parameters)


def test_any_other_class_is_a_tool_as_langchain_writes_it():
    class Lease(BaseModel):
        """A lease."""

        months: int

    parameters = {"properties": {"months": {"type": "integer"}}, "required": ["months"], "type": "object"}
    assert openai_tools([Lease])[0]["function"]["parameters"] == parameters
