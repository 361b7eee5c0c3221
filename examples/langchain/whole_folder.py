"""LCEL over a whole folder: read once, then any number of questions, side by side.

python examples/langchain/whole_folder.py
"""

import argparse

from documents import contracts
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from sharedllm_integrations.langchain import ChatSharedLLM, read_documents


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contracts", type=int, default=40)
    given = parser.parse_args()
    folder = contracts(given.contracts)
    llm = ChatSharedLLM(model="reader", max_tokens=40).with_documents(read_documents(folder))
    chain = ChatPromptTemplate.from_template("What is the notice period of lease agreement {number}?") | llm
    numbers = range(1, min(given.contracts, 8) + 1)
    for number, answer in zip(
        numbers, (chain | StrOutputParser()).batch([{"number": n} for n in numbers]), strict=True
    ):
        says = (folder / f"lease-{number}.txt").read_text(encoding="utf-8").split("agreement is made")[1]
        right = answer in says
        print(f"lease {number}: {answer} ({'it says so' if right else 'it does not say so'})")


if __name__ == "__main__":
    main()
