"""Messages to running text, and generated ids back to an answer: prompts, tools, sampling, stop strings.

Knows no documents and no cache.
"""
