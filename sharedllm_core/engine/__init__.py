"""Text in, text out: reads documents through the tree cache, answers from them, and says what answers rest on.

Nothing below this folder knows it.
"""
