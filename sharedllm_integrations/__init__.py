"""SharedLLM where LangChain and LlamaIndex expect a model; each integration is loaded when it is named."""
