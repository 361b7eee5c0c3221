"""Token ids in, token ids out: the model with injection, its lower model, and the KV states passed between them.

Independent of text, tree caches and the engine.
"""
