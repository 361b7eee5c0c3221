"""A conversation about a folder of contracts. What does not fit into the model's window is read like a document.

python examples/llama_index/chat.py                # a session
python examples/llama_index/chat.py --say "…" "…"  # these messages
"""

import argparse
import sys

from llama_index.core import SimpleDirectoryReader
from sample_documents import contracts

from sharedllm_integrations.llama_index import SharedLLM, SharedLLMChatEngine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contracts", type=int, default=12)
    parser.add_argument("--say", nargs="+", help="messages; by default those that are typed in")
    given = parser.parse_args()
    documents = SimpleDirectoryReader(str(contracts(given.contracts))).load_data()
    engine = SharedLLMChatEngine.from_documents(documents, SharedLLM(model="reader", max_tokens=40))
    for message in given.say or (line.strip() for line in sys.stdin):
        print(f"> {message}")
        response = engine.stream_chat(message)
        for piece in response.response_gen:
            print(piece, end="", flush=True)
        print(f"\n  ({response.source_nodes[0].node.metadata['file_name']})")
    print(f"{len(engine.chat_history)} messages")


if __name__ == "__main__":
    main()
