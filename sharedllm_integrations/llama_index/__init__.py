"""SharedLLM for LlamaIndex.

from sharedllm_integrations.llama_index import SharedLLMQueryEngine

engine = SharedLLMQueryEngine.from_documents(SimpleDirectoryReader("contracts").load_data())
engine.query("When does the lease end?")
"""

from .._shared.requirements import check_installed

check_installed("llama-index")

from .chat_engine import SharedLLMChatEngine  # noqa: E402
from .llm import SharedLLM  # noqa: E402
from .query_engine import SharedLLMQueryEngine  # noqa: E402
from .retrievers import FullDocumentRetriever  # noqa: E402
from .synthesizer import SharedLLMSynthesizer  # noqa: E402

__all__ = [
    "FullDocumentRetriever",
    "SharedLLM",
    "SharedLLMChatEngine",
    "SharedLLMQueryEngine",
    "SharedLLMSynthesizer",
]
