"""Which nodes a question retains: the policy interface, and the choice over the trees of all chunks.

Works on token ids and selection vectors; knows no states, no cache and no text.
"""
