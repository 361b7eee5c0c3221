"""Generation: messages to a prompt, tokens to an answer, with tools, sampling, stop strings and constraints.

Independent of documents and of the tree cache.
"""
