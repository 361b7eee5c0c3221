"""Tool calls as text, in the notation of each model's chat template.

`detection` finds the notation, `notation` is what the other folders use. Nothing here runs a model.
"""
