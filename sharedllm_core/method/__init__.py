"""The paper's numbers and trees: configuration, splits, retained nodes, downsampling.

Pure arithmetic: no torch, no text, no model.
"""
