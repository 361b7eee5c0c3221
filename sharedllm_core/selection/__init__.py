"""Selection of the nodes that a question retains: the policy interface, and the search over the trees of all chunks.

Works on token ids and selection vectors; independent of KV states, caches and text.
"""
