"""Token ids in, token ids out: the injected model, its lower model, and the states between the two.

Knows no text, no cache and no engine.
"""
