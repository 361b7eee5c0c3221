"""Counts how often the encoding of a text without declaration is guessed such that the text comes out exactly.

The texts are the translations of Django's messages, drawn at random: one line or 20 lines, with at least one character
beyond ASCII. Lines have at least 20 characters. English lines are those with typographic quotes.

    pip download --no-deps django && unzip -q django-*.whl -d /tmp/django
    python -m tests.benchmarks.encoding_guesses /tmp/django/django
"""

import argparse
import gettext
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from charset_normalizer import from_bytes

from sharedllm_core.errors import DocumentError
from sharedllm_core.text.documents.formats.encodings import decode_text

WESTERN = ("cp1252", "iso-8859-1", "mac_roman")
#: By language: the folder of its translations, and the encodings in which people have such texts.
LANGUAGES = {
    "English": ("en", ("cp1252", "mac_roman")),
    "German": ("de", WESTERN),
    "French": ("fr", WESTERN),
    "Spanish": ("es", WESTERN),
    "Polish": ("pl", ("cp1250", "iso-8859-2")),
    "Czech": ("cs", ("cp1250", "iso-8859-2")),
    "Russian": ("ru", ("cp1251", "koi8-r")),
    "Greek": ("el", ("cp1253", "iso-8859-7")),
    "Turkish": ("tr", ("cp1254", "iso-8859-9")),
    "Hebrew": ("he", ("cp1255", "iso-8859-8")),
    "Japanese": ("ja", ("shift_jis", "euc-jp")),
    "Korean": ("ko", ("euc-kr",)),
    "Chinese, traditional": ("zh_Hant", ("big5",)),
    "Chinese, simplified": ("zh_Hans", ("gb18030",)),
}
LEAST_CHARACTERS = 20  # of a line
LENGTHS = (1, 20)  # lines
SAMPLES = 50  # of each language, encoding and length


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("django", type=Path, help="folder of the package Django")
    django = parser.parse_args().django
    print("| language | encoding | one line | 20 lines | charset-normalizer: one line | 20 lines |")
    print("|---|---|---|---|---|---|")
    for language, (name, encodings) in LANGUAGES.items():
        texts = list(lines(django, name))
        for encoding in (*encodings, "utf-16-le"):
            samples = [list(sampled(texts, encoding, number)) for number in LENGTHS]
            counts = [[exact(decode, one, encoding) for one in samples] for decode in (own, charset_normalizer)]
            cells = [share(count, len(one)) for row in counts for count, one in zip(row, samples, strict=True)]
            print(f"| {language} | {encoding} | {' | '.join(cells)} |", flush=True)


def lines(django: Path, name: str) -> Iterator[str]:
    """The lines of all translations; of English, of the messages themselves."""
    seen: set[str] = set()
    for file in sorted(django.glob(f"**/locale/{'de' if name == 'en' else name}/LC_MESSAGES/django.mo")):
        with file.open("rb") as opened:
            catalog = gettext.GNUTranslations(opened)._catalog
        for message, translation in catalog.items():
            source = message[0] if isinstance(message, tuple) else message
            text = source if name == "en" else translation
            for line in text.splitlines() if message else ():
                if len(line) >= LEAST_CHARACTERS and line not in seen:
                    seen.add(line)
                    yield line


def sampled(texts: list[str], encoding: str, number: int) -> Iterator[str]:
    """Texts of so many lines; lines that the encoding cannot write are left out."""
    rng = random.Random(f"{encoding} {number}")
    usable = [line for line in texts if is_encodable(line, encoding)]
    telling = [line for line in usable if not line.isascii()]
    if len(telling) < 20:
        return
    for _ in range(SAMPLES):
        chosen = [rng.choice(telling), *rng.sample(usable, number - 1)]
        rng.shuffle(chosen)
        yield "\n".join(chosen)


def is_encodable(text: str, encoding: str) -> bool:
    try:
        return text.encode(encoding).decode(encoding) == text
    except UnicodeError:
        return False


def exact(decode: Callable[[bytes], str | None], texts: list[str], encoding: str) -> int:
    return sum(decode(text.encode(encoding)) == text for text in texts)


def own(content: bytes) -> str | None:
    try:
        return decode_text(content).text
    except DocumentError:
        return None


def charset_normalizer(content: bytes) -> str | None:
    best = from_bytes(content).best()
    return None if best is None else str(best)


def share(count: int, number: int) -> str:
    return f"{100 * count / number:.0f} %" if number else "–"


if __name__ == "__main__":
    main()
