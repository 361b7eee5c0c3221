"""An agent with tools over a long manual, which it has read as a whole.

    python examples/llama_index/manual_agent.py

The manual is bound to the model; tools do what no manual can. The model of the package fills in arguments that fit, but
is too small to plan; this shows the parts at work, and a trained model of your size does the thinking.
"""

import argparse
import asyncio

from llama_index.core import SimpleDirectoryReader
from llama_index.core.agent.workflow import AgentOutput, AgentWorkflow, FunctionAgent
from llama_index.core.tools import FunctionTool
from sample_documents import handbook

from sharedllm_integrations.llama_index import SharedLLM, SharedLLMQueryEngine


def order_part(part: str, amount: int) -> str:
    """Order spare parts."""
    return f"{amount} of {part!r} are ordered."


async def run(sections: int, ask: str) -> None:
    documents = SimpleDirectoryReader(str(handbook(sections))).load_data()
    llm = SharedLLM(model="reader", max_tokens=80)
    manual = llm.with_documents(documents)
    order = FunctionTool.from_defaults(order_part, return_direct=True)
    agent = FunctionAgent(
        name="clerk",
        llm=manual,
        tools=[order],
        initial_tool_choice="order_part",
        system_prompt="Answer from the manual.",
    )
    output: AgentOutput = await AgentWorkflow(agents=[agent]).run(user_msg=ask)
    for call in output.tool_calls:
        print(f"called: {call.tool_name} {call.tool_kwargs}")
    print(f"agent: {output.response.content}")
    # Or the manual as a tool of its own, for an agent that has other things to do as well.
    query = SharedLLMQueryEngine.from_documents(documents, llm)
    done = await manual.apredict_and_call([order], "Order 3 lamps.", tool_required=True)
    print(f"ordered: {done.response}")
    print(f"manual: {await query.aquery(ask)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sections", type=int, default=54)
    parser.add_argument("--ask", default="What is the notice period of the first agreement? Order 3 lamps.")
    given = parser.parse_args()
    asyncio.run(run(given.sections, given.ask))


if __name__ == "__main__":
    main()
