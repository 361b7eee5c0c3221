"""Structured output of classes that contain themselves, and of those that check more than pydantic's schema says."""

import pytest
from langchain_core.tools import tool
from pydantic import BaseModel, Field

from sharedllm_core import Constraint, InputError, SchemaWarning
from sharedllm_integrations.langchain import ChatSharedLLM
from sharedllm_integrations.langchain.structured import openai_tools
from tests.integrations.offers import CheckedOffer, Offer

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


METHODS = pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])


@METHODS
def test_decimals_urls_and_sets_are_valid_whatever_the_model(engine, method, recwarn):
    for seed in range(2):
        llm = ChatSharedLLM(engine=engine, temperature=9.0, seed=seed, max_tokens=120)
        assert isinstance(llm.with_structured_output(Offer, method=method).invoke(QUESTION), Offer)
    assert not [one for one in recwarn if issubclass(one.category, SchemaWarning)]


@METHODS
def test_a_validator_is_reported_when_the_class_is_bound(engine, method):
    llm = ChatSharedLLM(engine=engine, max_tokens=120)
    with pytest.warns(SchemaWarning, match=r"CheckedOffer\.name: the validator known may refuse it.*include_raw=True"):
        bound = llm.with_structured_output(CheckedOffer, method=method, include_raw=True)
    found = bound.invoke(QUESTION)
    assert found["parsed"] is None
    assert "is not known" in str(found["parsing_error"]), "the remedy that the warning names"


def test_what_tools_check_is_reported_when_they_are_bound(engine):
    @tool
    def order(offer: CheckedOffer) -> str:
        """Order it."""
        return str(offer)

    for bound in (order, CheckedOffer):
        with pytest.warns(SchemaWarning, match=r"CheckedOffer\.name: the validator known may refuse it"):
            ChatSharedLLM(engine=engine).bind_tools([bound])
    parameters = openai_tools([order])[0]["function"]["parameters"]
    assert parameters["$defs"]["CheckedOffer"]["properties"]["page"]["pattern"].startswith("^(?:http|https)://")


UNSUPPORTED = {"type": "object", "properties": {"items": {"type": "array", "uniqueItems": True}}, "title": "order"}


@pytest.mark.parametrize("pattern", [r"^(?=a)b$", r"^(a)\1$"])
def test_a_pattern_that_no_grammar_takes_is_refused_when_it_is_bound(engine, pattern):
    class Order(BaseModel):
        """An order."""

        model_config = {"regex_engine": "python-re"}
        name: str = Field(pattern=pattern)

    llm = ChatSharedLLM(engine=engine)
    with pytest.raises(InputError, match="unsupported constraint"):
        llm.with_structured_output(Order)
    with pytest.raises(InputError, match="tool 'Order': unsupported constraint"):
        llm.bind_tools([Order])


def test_a_schema_that_cannot_be_enforced_is_refused_when_its_tool_is_bound(engine):
    form = {"type": "function", "function": {"name": "order", "description": "Order it.", "parameters": UNSUPPORTED}}
    with pytest.raises(InputError, match=r"tool 'order': .*uniqueItems"):
        ChatSharedLLM(engine=engine).bind_tools([form])
    assert ChatSharedLLM(engine=engine).bind_tools([form, insure], tool_choice="none"), "nothing is generated along it"
    assert ChatSharedLLM(engine=engine).bind_tools([form, insure], tool_choice="insure")
