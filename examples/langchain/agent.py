"""An agent with tools over a long manual, which it has read as a whole.

    python examples/langchain/agent.py

The manual is bound to the model; tools do what no manual can. The model of the package fills in arguments that fit, but
is too small to plan; this shows the parts at work, and a trained model of your size does the thinking.
"""

import argparse

from documents import handbook
from langchain.agents import create_agent
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig

from sharedllm_integrations.langchain import ChatSharedLLM, read_documents


def order_part(part: str, amount: int) -> str:
    """Order spare parts."""
    return f"{amount} of {part!r} are ordered."


def open_ticket(subject: str) -> str:
    """Open a ticket for the service desk."""
    return f"Ticket about {subject!r} opened."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sections", type=int, default=54)
    parser.add_argument("--ask", default="What is the notice period of the first agreement? Open a ticket about it.")
    given = parser.parse_args()
    llm = ChatSharedLLM(model="reader", max_tokens=80).with_documents(read_documents(handbook(given.sections)))
    agent = create_agent(llm, tools=[order_part, open_ticket], system_prompt="Answer from the handbook.")
    config = RunnableConfig(recursion_limit=8)
    for message in agent.invoke({"messages": [HumanMessage(given.ask)]}, config)["messages"]:
        show(message)
    # A tool that has to be called is called, with arguments that fit it.
    call = llm.bind_tools([order_part, open_ticket], tool_choice="order_part").invoke("Order 3 lamps.").tool_calls[0]
    print("called:", order_part(**call["args"]))


def show(message: BaseMessage) -> None:
    calls = getattr(message, "tool_calls", [])
    print(f"{message.type}: {message.text}", *(f"[{call['name']} {call['args']}]" for call in calls))


if __name__ == "__main__":
    main()
