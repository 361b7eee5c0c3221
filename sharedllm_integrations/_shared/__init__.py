"""What the integrations share: everything between a framework's call and the engine that names no framework's types.

A call becomes one `Request` (`request.py`): messages in the engine's form (`conversation.py`), documents under a handle
(`document_set.py`) and answer options (`answer_options.py`). `serving.py` answers it.
An integration converts its framework's messages, tools and outputs, and nothing else.
"""
