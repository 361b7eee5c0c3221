"""Structured extraction: an object of one class from each of many contracts. Every answer fits the class.

python examples/llama_index/extract_objects.py
"""

import argparse

from llama_index.core import SimpleDirectoryReader
from llama_index.core.base.response.schema import PydanticResponse
from pydantic import BaseModel, Field
from sample_documents import contracts

from sharedllm_integrations.llama_index import SharedLLM, SharedLLMQueryEngine


class Lease(BaseModel):
    """What a lease says."""

    tenant: str = Field(description="who pays the rent", max_length=60)
    rent_euros: int = Field(description="rent in euros a month", ge=0)
    notice_days: int = Field(description="notice period in days", ge=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contracts", type=int, default=6)
    given = parser.parse_args()
    llm = SharedLLM(model="reader", max_tokens=120)
    for document in SimpleDirectoryReader(str(contracts(given.contracts))).load_data():
        engine = SharedLLMQueryEngine.from_documents([document], llm, output_cls=Lease)
        response = engine.query("Who is the tenant, what is the rent, and the notice period?")
        assert isinstance(response, PydanticResponse)
        print(f"{document.metadata['file_name']}: {response.response!r}")


if __name__ == "__main__":
    main()
