"""What classes check beyond pydantic's schema: enforced, or reported before the model runs."""

import pytest
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel, Field, ValidationError

from sharedllm_core import InputError, SchemaWarning
from sharedllm_integrations.llama_index import SharedLLM, SharedLLMSynthesizer
from tests.integrations.offers import CheckedOffer, Offer

QUESTION = PromptTemplate("What is the notice period?")


class Order(BaseModel):
    """An order whose pattern no grammar takes."""

    model_config = {"regex_engine": "python-re"}
    name: str = Field(pattern="^(?=a)b$")


@pytest.fixture
def random_llm(engine):
    return SharedLLM(engine=engine, max_tokens=120, temperature=9.0, seed=1)


def test_decimals_urls_and_sets_are_valid_whatever_the_model(random_llm):
    assert isinstance(random_llm.structured_predict(Offer, QUESTION), Offer)
    assert isinstance(random_llm.as_structured_llm(Offer).complete("What is the notice period?").raw, Offer)
    tool = FunctionTool.from_defaults(lambda **given: given, name="offer", fn_schema=Offer)
    response = random_llm.chat_with_tools([tool], user_msg="What is the notice period?", tool_required=True)
    [call] = random_llm.get_tool_calls_from_response(response)
    Offer.model_validate(call.tool_kwargs)


def test_a_validator_is_reported_before_the_model_runs(random_llm):
    tool = FunctionTool.from_defaults(lambda **given: given, name="offer", fn_schema=CheckedOffer)
    ways = [
        lambda: random_llm.as_structured_llm(CheckedOffer),
        lambda: SharedLLMSynthesizer(random_llm, output_cls=CheckedOffer),
        lambda: random_llm._prepare_chat_with_tools([tool], user_msg="Order it."),
    ]
    for bind in ways:
        with pytest.warns(SchemaWarning, match=r"CheckedOffer\.name: the validator known may refuse it"):
            bind()
    with (
        pytest.warns(SchemaWarning, match=r"CheckedOffer\.name: the validator known may refuse it"),
        pytest.raises(ValidationError, match="is not known"),
    ):
        random_llm.structured_predict(CheckedOffer, QUESTION)


def test_a_pattern_that_no_grammar_takes_is_refused_before_the_model_runs(random_llm):
    random_llm.engine.ask = None
    for bind in (
        lambda: random_llm.as_structured_llm(Order),
        lambda: SharedLLMSynthesizer(random_llm, output_cls=Order),
        lambda: random_llm.structured_predict(Order, QUESTION),
    ):
        with pytest.raises(InputError, match="unsupported constraint"):
            bind()
