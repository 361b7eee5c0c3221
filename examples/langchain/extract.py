"""Structured extraction: an object of one schema from each of many contracts. Every answer fits the schema.

python examples/langchain/extract.py
"""

import argparse

from documents import contracts
from pydantic import BaseModel, Field

from sharedllm_integrations.langchain import ChatSharedLLM, read_documents


class Lease(BaseModel):
    """What a lease says."""

    tenant: str = Field(description="who pays the rent", max_length=60)
    rent_euros: int = Field(description="rent in euros a month", ge=0)
    notice_days: int = Field(description="notice period in days", ge=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contracts", type=int, default=6)
    given = parser.parse_args()
    extract = ChatSharedLLM(model="reader", max_tokens=120).with_structured_output(Lease)
    for document in read_documents(contracts(given.contracts)):
        lease = extract.invoke("Who is the tenant, what is the rent, and the notice period?", documents=[document])
        print(f"{document.metadata['source']}: {lease!r}")


if __name__ == "__main__":
    main()
