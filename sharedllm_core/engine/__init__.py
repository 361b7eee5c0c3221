"""Text in, text out: encodes documents through the tree cache, answers questions from them, and finds the evidence.

No folder below imports it.
"""
