"""The model that `Settings` names, without the default of LlamaIndex, which is somebody else's and far away."""

from llama_index.core.llms import LLM
from llama_index.core.settings import Settings

from sharedllm_core import InputError

from .llm import SharedLLM

__all__ = ["shared_llm"]


def shared_llm(llm: LLM | None) -> SharedLLM:
    """`llm`, or that of `Settings` if one was set there, or the model of the package.

    Raises:
        InputError: it is no `SharedLLM`, and so cannot read whole documents.
    """
    # `Settings.llm` would look for OpenAI where nothing was set.
    found = llm if llm is not None else Settings._llm
    if found is None:
        return SharedLLM()
    if not isinstance(found, SharedLLM):
        where = "llm" if llm is not None else "Settings.llm"
        raise InputError(
            f"{where} is a {type(found).__name__}, which cannot read whole documents; give llm=SharedLLM(…), or set "
            "Settings.llm = SharedLLM(…)"
        )
    return found
