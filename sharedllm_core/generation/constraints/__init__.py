"""Answers that keep to a grammar: JSON schemas, regular expressions, choices.

Knows logits and tokens; runs no model.
"""
