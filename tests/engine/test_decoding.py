"""What an answer's text is while it is written: stop strings, characters of several tokens, pieces."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sharedllm_core.decoding.answer_text import DecodedAnswer
from sharedllm_core.text.tokenization import GrowingText, TextTokenizer
from tests import tiny_engine

TOKENIZER = TextTokenizer(tiny_engine.tokenizer())
FALLBACK = TextTokenizer(tiny_engine.byte_fallback_tokenizer())
EOS = TOKENIZER.tokenizer.eos_token_id
TEXTS = st.text(st.sampled_from("ab.\n ✓é漢🙂"), max_size=30)
STOPS = st.lists(st.text(st.sampled_from("ab.\n é🙂"), min_size=1, max_size=4), max_size=3)


def written(ids, stops, reason="length"):
    pieces = []
    text = DecodedAnswer(TOKENIZER, frozenset({EOS}), stops, pieces.append)
    taken = 0
    for number in ids:
        taken += 1
        if text.push(number):
            break
    text.end(reason)
    assert "".join(pieces) == text.text
    assert all(pieces)
    return text, taken


@given(TEXTS, STOPS)
@example("aab", ["ab"])
@example("ab.", ["b.", ".", "ab.c"])
@example("🙂🙂", ["🙂"])
def test_an_answer_is_the_text_up_to_the_first_stop_string(text, stops):
    ids = TOKENIZER.encode(text).ids.tolist()
    found, taken = written(ids, stops)
    if any(stop in text for stop in stops):
        assert found.finish_reason == "stop"
        assert not any(stop in found.text for stop in stops)
        assert text.startswith(tuple(found.text + stop for stop in stops))
    else:
        assert (found.text, found.finish_reason, taken) == (text, "length", len(ids))


@given(st.lists(st.integers(6, 599), max_size=30))
def test_any_ids_give_what_the_tokenizer_decodes(ids):
    found, _ = written(ids, [])
    assert found.text == TOKENIZER.decode(ids)
    assert found.ids == ids


@given(st.lists(st.integers(0, FALLBACK.tokenizer.vocab_size - 1), max_size=150))
def test_bytes_that_are_no_text_stop_nothing(ids):
    growing = GrowingText(FALLBACK)
    for number in ids:
        growing.add(number)
    said = [growing.add(number) for number in FALLBACK.encode("and so it goes on").ids.tolist()]
    assert "".join(said).endswith("nd so it goes on")


@given(st.lists(st.sampled_from(["Größe", "漢字", "🙂", "naïve", "a", "b"]), max_size=60))
def test_a_text_of_any_tokenizer_comes_piece_by_piece(words):
    for tokenizer in (TOKENIZER, FALLBACK):
        ids = tokenizer.encode(" ".join(words)).ids.tolist()
        growing = GrowingText(tokenizer)
        assert "".join(growing.add(number) for number in ids) == tokenizer.decode(ids)


def test_the_end_token_ends_an_answer_and_is_not_part_of_it():
    ids = TOKENIZER.encode("ab").ids.tolist()
    found, taken = written([*ids, EOS, *ids], [])
    assert (found.text, found.finish_reason, found.ids, taken) == ("ab", "stop", ids, len(ids) + 1)


def test_what_may_begin_a_stop_string_is_held_back_until_it_is_certain():
    pieces = []
    text = DecodedAnswer(TOKENIZER, frozenset({EOS}), ["ab🙂"], pieces.append)
    for number in TOKENIZER.encode("a").ids.tolist() + TOKENIZER.encode("b").ids.tolist():
        text.push(number)
    assert pieces == []
    for number in TOKENIZER.encode("c").ids.tolist():
        text.push(number)
    assert pieces == ["abc"]


@pytest.mark.parametrize("reason", ["length", "cancelled"])
def test_what_was_held_back_is_given_at_the_end(reason):
    ids = TOKENIZER.encode("a🙂").ids.tolist()[:-1]
    found, _ = written(ids, ["a🙂b"], reason)
    assert found.text == TOKENIZER.decode(ids)
    assert found.finish_reason == reason
