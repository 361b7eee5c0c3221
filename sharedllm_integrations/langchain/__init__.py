"""SharedLLM for LangChain.

from sharedllm_integrations.langchain import ChatSharedLLM, read_documents

llm = ChatSharedLLM().with_documents(read_documents("contracts/"))
llm.invoke("When does the lease end?").content
"""

from .._shared.requirements import check_installed

check_installed("langchain")

from .chat_model import ChatSharedLLM  # noqa: E402
from .documents import DocumentSet, read_documents  # noqa: E402
from .evidence import evidence_documents  # noqa: E402

__all__ = ["ChatSharedLLM", "DocumentSet", "evidence_documents", "read_documents"]
