"""Writes files and reads them as a library does."""

from sharedllm_core.text.documents.formats import extract_text


def extract(folder, name, content):
    """What is extracted from a file of this name and content."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return extract_text(path)


def text_of(folder, name, content):
    return extract(folder, name, content).text


def words_in_order(words, text):
    """Whether each word occurs once, in this order."""
    position = 0
    for word in words:
        position = text.find(word, position)
        if position < 0 or text.count(word) != 1:
            return False
    return True


def places(extracted, kind):
    """The text that begins at each place of a kind, up to the end of its line, by the names of the places."""
    return {
        place.name: extracted.text[place.start :].split("\n", 1)[0] for place in extracted.places if place.kind == kind
    }
