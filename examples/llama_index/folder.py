"""A query engine over a folder: everything in it is read once, and every question is answered from all of it.

    python examples/llama_index/folder.py --sections 54

With --index the documents come from a vector index that cuts them into overlapping nodes, as most applications have it:
they are put together again, and the embeddings are not used.
"""

import argparse
import time

from llama_index.core import Settings, SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.base.response.schema import StreamingResponse
from llama_index.core.embeddings import MockEmbedding
from sample_documents import handbook

from sharedllm_integrations.llama_index import SharedLLM, SharedLLMQueryEngine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sections", type=int, default=54, help="sections of each chapter of the handbook")
    parser.add_argument("--index", action="store_true", help="take the documents from a vector index")
    parser.add_argument("--ask", default="What is the notice period of the first agreement?")
    given = parser.parse_args()
    Settings.llm = SharedLLM(model="reader", max_tokens=40)  # before: OpenAI(model=…)
    documents = SimpleDirectoryReader(str(handbook(given.sections))).load_data()
    if given.index:
        index = VectorStoreIndex.from_documents(documents, embed_model=MockEmbedding(8))
        engine = SharedLLMQueryEngine.from_index(index, streaming=True, read=False)
    else:
        engine = SharedLLMQueryEngine.from_documents(documents, streaming=True, read=False)
    for name in ("first", "second"):
        began = time.perf_counter()
        response = engine.query(f"{given.ask} ({name} question)")
        assert isinstance(response, StreamingResponse)
        first = next(response.response_gen, "")
        seconds = time.perf_counter() - began
        print(f"{name} question: {seconds:.2f} s to the first token; {first + ''.join(response.response_gen)}")
    usage = (response.metadata or {})["usage"]
    print(f"{usage['past_context_tokens']:,} tokens of documents")
    for source in response.source_nodes[:3]:
        for span in source.node.metadata.get("evidence", []):
            said = source.node.get_content()[span["start"] : span["end"]]
            print(f"  {span['score']:.0%} {source.node.metadata['file_name']}: {' '.join(said.split())[:120]}")


if __name__ == "__main__":
    main()
