"""An agent with tools over a long manual, which it has read as a whole.

    python examples/langchain/agent.py [--ask TEXT] [--count]

The manual is bound to the model; tools do what no manual can. --count asks ten requests and questions, and prints how
often the agent called the tool that does it with the arguments that were named, or answered where none was needed.
"""

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from documents import handbook
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig

from sharedllm_integrations.langchain import ChatSharedLLM, read_documents


def order_part(part: str, amount: int) -> str:
    """Order spare parts."""
    return f"{amount} of {part!r} are ordered."


def open_ticket(subject: str) -> str:
    """Open a ticket for the service desk."""
    return f"Ticket about {subject!r} opened."


def send_mail(to: str, subject: str) -> str:
    """Send a mail to somebody."""
    return f"Mail to {to!r} about {subject!r} sent."


TOOLS: list[Callable[..., str]] = [order_part, open_ticket, send_mail]

#: A request, and the call that does it; `None` where the manual answers.
REQUESTS: dict[str, tuple[str, Mapping[str, Any]] | None] = {
    "Order 3 lamps.": ("order_part", {"part": "lamp", "amount": 3}),
    "We need 12 door hinges. Please order them.": ("order_part", {"part": "hinge", "amount": 12}),
    "Please order 40 pieces of the part AX-17.": ("order_part", {"part": "AX-17", "amount": 40}),
    "Open a ticket about the broken heating.": ("open_ticket", {"subject": "heating"}),
    "The printer on floor two is jammed. Open a ticket for it.": ("open_ticket", {"subject": "printer"}),
    "File a ticket with the subject 'lost badge'.": ("open_ticket", {"subject": "lost badge"}),
    "Send a mail to Ida Marlberg with the subject 'spring meeting'.": ("send_mail", {"to": "Ida", "subject": "spring"}),
    "Write to Tom Velden by mail; the subject is 'invoice 318'.": ("send_mail", {"to": "Tom", "subject": "318"}),
    "What is the notice period of the first agreement?": None,
    "Who is responsible for the archive?": None,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="reader", help="folder, hub id, GGUF file or short name; by default reader")
    parser.add_argument("--sections", type=int, default=54)
    parser.add_argument("--ask", default="We need 12 door hinges. Please order them.")
    parser.add_argument("--count", action="store_true", help="ask ten requests, and count the right ones")
    given = parser.parse_args()
    llm = ChatSharedLLM(model=given.model, max_tokens=80).with_documents(read_documents(handbook(given.sections)))
    agent = create_agent(llm, tools=TOOLS, system_prompt="Answer from the handbook.")
    if given.count:
        right = sum(is_right(run(agent, text), expected) for text, expected in REQUESTS.items())
        print(f"{right} of {len(REQUESTS)} requests: the right tool with the right arguments, or an answer")
        return
    run(agent, given.ask)
    # A tool that has to be called is called, with arguments that fit it.
    call = llm.bind_tools(TOOLS, tool_choice="order_part").invoke("Order 3 lamps.").tool_calls[0]
    print("called:", order_part(**call["args"]))


def run(agent: Any, text: str) -> list[BaseMessage]:
    """Ask the agent, and print what it did."""
    config = RunnableConfig(recursion_limit=12)
    messages: list[BaseMessage] = []
    try:
        for state in agent.stream({"messages": [HumanMessage(text)]}, config, stream_mode="values"):
            for message in state["messages"][len(messages) :]:
                show(message)
            messages = state["messages"]
    except RecursionError:  # of LangGraph
        print("It went on calling tools until the limit.")
    return messages


def is_right(messages: list[BaseMessage], expected: tuple[str, Mapping[str, Any]] | None) -> bool:
    """Whether the first call is the expected one, or there is none where none is needed."""
    calls = [call for message in messages if isinstance(message, AIMessage) for call in message.tool_calls]
    if expected is None or not calls:
        return expected is None and not calls
    name, arguments = expected
    said = {key: str(value).lower() for key, value in calls[0]["args"].items()}
    return calls[0]["name"] == name and all(str(part).lower() in said.get(key, "") for key, part in arguments.items())


def show(message: BaseMessage) -> None:
    calls = getattr(message, "tool_calls", [])
    print(f"{message.type}: {message.text}", *(f"[{call['name']} {call['args']}]" for call in calls))


if __name__ == "__main__":
    main()
