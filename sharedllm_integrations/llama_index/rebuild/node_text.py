"""The text of a node, and errors for nodes that hold none."""

from llama_index.core.schema import BaseNode, ImageNode, MetadataMode, Node, TextNode

from sharedllm_core import InputError

__all__ = ["start_of", "text_of"]


def text_of(node: BaseNode) -> str:
    """Return the text of a node.

    Raises:
        InputError: a type of node that has no text, or a node that holds only media.
    """
    if not isinstance(node, Node | TextNode):
        name = f"{getattr(node, 'node_id', node)!r:.80}"
        raise InputError(
            f"node {name} is a {type(node).__name__}, which is not known to hold text",
            remedy="give TextNodes, Nodes with text, or Documents",
        )
    text = node.get_content(metadata_mode=MetadataMode.NONE)
    if not text and (isinstance(node, ImageNode) or not isinstance(node, TextNode)) and _has_media(node):
        raise InputError(
            f"node {node.node_id!r} ({type(node).__name__}) holds an image, sound or film and no text, and this model "
            "reads text alone",
            remedy=["leave it out", "give it a description as text"],
        )
    return text


def _has_media(node: BaseNode) -> bool:
    if isinstance(node, ImageNode):
        return bool(node.image or node.image_path or node.image_url)
    media = [getattr(node, f"{kind}_resource", None) for kind in ("image", "audio", "video")]
    return any(one is not None and (one.data or one.path or one.url) for one in media)


def start_of(node: BaseNode) -> int | None:
    """Return a node's offset in its document, or in the node that it is a part of, if known."""
    start: int | None = getattr(node, "start_char_idx", None)
    return start
