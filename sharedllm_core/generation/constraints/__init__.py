"""Constrained decoding by grammars: JSON schemas, regular expressions, choices.

Works on logits and tokens; runs no model.
"""
