"""Whole documents from LlamaIndex's nodes: `whole_documents` groups nodes by document and rebuilds each.

Nodes are put in order (`node_order`), joined per parent (`stitching`), and their texts placed and merged without
overlaps (`placing`, `joining`, `reordering`). Nothing here knows the model, the engine or requests.
"""
