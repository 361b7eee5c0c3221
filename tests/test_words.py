"""Words as features: what should meet does, and what should not does not."""

import unicodedata
from itertools import pairwise

import pytest

from sharedllm_core.text.sentences import segments_of
from sharedllm_core.text.words import query_words, words_of


def features(text):
    return set(words_of(text))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Who", "who"),
        ("terminates", "Termination"),
        ("leases", "lease"),
        ("caf\u00e9", unicodedata.normalize("NFD", "caf\u00e9")),
        ("caf\u00e9", "cafe"),
        ("\uff26\uff55\uff4c\uff4c \uff11\uff12", "full 12"),
        ("1,000,000", "1000000"),
        ("maxInjectedStates", "max injected states"),
        ("max_injected_states", "injected"),
        ("HTTPServer", "server"),
        ("\u6f22\u5b57\u304b\u306a", "\u6f22\u5b57"),
        (
            "\u0643\u0650\u062a\u064e\u0627\u0628\u064c",
            "\u0643\u062a\u0627\u0628",
        ),  # Arabic vowel signs
        ("\u0623\u062d\u0645\u062f", "\u0627\u062d\u0645\u062f"),  # alef with and without hamza
        ("\u06a9\u062a\u0627\u0628", "\u0643\u062a\u0627\u0628"),  # Persian and Arabic kaf
        ("\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd", "\u05e9\u05dc\u05d5\u05dd"),  # Hebrew with vowel signs
        (
            "\u043a\u0440\u0430\u0441\u043d\u044b\u0439",
            "\u043a\u0440\u0430\u0441\u043d\u043e\u0433\u043e",
        ),
        ("\u0451\u043b\u043a\u0430", "\u0435\u043b\u043a\u0430"),
        ("\ub2e8\uc5b4\ub97c", "\ub2e8\uc5b4\uac00"),  # Korean with two particles
        ("3,14", "3.14"),
        ("1\u00a0234", "1234"),
        ("1\u202f234\u202f567", "1,234,567"),
        ("1.234", "1234"),
        ("1.234", "1,234"),
        ("STRASSE", "stra\u00dfe"),
    ],
)
def test_forms_of_one_thing_meet(one, other):
    assert features(one) & features(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1000", "100"),
        ("3.14", "314"),
        ("2.10", "2.1"),
        ("port", "part"),
        ("\u6f22\u5b57", "\u5b57\u6f22"),
        ("\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u093f\u0928"),  # a Hindi word and its beginning
    ],
)
def test_different_things_do_not(one, other):
    assert not features(one) & features(other)


def test_stopwords_of_a_question_are_left_out_unless_nothing_else_is_left():
    assert set(query_words("What is the notice period?")) == features("notice period")
    assert query_words("who is it")


TEXTS = ["", "  \n ", "One.", "One. Two! 3.14 is pi.\n\nNext (a) b.", "x" * 3000, "a b " * 900, "\u5b57\u3002" * 400]


@pytest.mark.parametrize("text", TEXTS)
def test_segments_hold_everything_but_white_space_in_order(text):
    spans = segments_of(text)
    assert "".join("".join(text[start:end] for start, end in spans).split()) == "".join(text.split())
    assert all(first[1] <= second[0] for first, second in pairwise(spans))
    assert all(0 < end - start <= 700 for start, end in spans)
