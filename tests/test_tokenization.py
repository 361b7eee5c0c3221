"""Ids with offsets, on tokenizers trained on the spot: byte-level BPE as GPT-2 and Llama 3 have it, and others."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from sharedllm_core import SharedLLMConfig
from sharedllm_core.errors import TokenizerError
from sharedllm_core.selection.choice import sentence_starts
from sharedllm_core.text.tokenization import TextTokenizer, TokenizedText, sentence_borders
from tests import tiny_engine

CORPUS = ["The notice period is 90 days, isn't it?", "def f(x):\n    return x ** 2", "Größe naïve 漢字"] * 20
LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def tokenizer(kind):
    made = Tokenizer(models.Unigram() if kind == "unigram" else models.BPE())
    options = {"vocab_size": 400, "special_tokens": ["<|end|>"], "show_progress": False}
    if kind == "unigram":
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        made.train_from_iterator(CORPUS, trainers.UnigramTrainer(**options, unk_token="<|end|>"))
        return PreTrainedTokenizerFast(tokenizer_object=made)
    if kind == "llama3":
        cut = pre_tokenizers.Split(Regex(LLAMA3_WORDS), "isolated")
        made.pre_tokenizer = pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(False, use_regex=False)])
    else:
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=kind == "prefixed")
    if kind == "lowercase":
        made.normalizer = normalizers.Lowercase()
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(CORPUS, trainers.BpeTrainer(**options, initial_alphabet=alphabet))
    return PreTrainedTokenizerFast(tokenizer_object=made)


KINDS = ["gpt2", "llama3", "prefixed", "lowercase", "unigram"]
TOKENIZERS = {kind: TextTokenizer(tokenizer(kind)) for kind in KINDS}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@pytest.mark.parametrize("kind", KINDS)
@given(text=TEXTS)
def test_ids_are_the_tokenizers_own_without_special_tokens(kind, text):
    ours = TOKENIZERS[kind]
    assert ours.encode(text).ids.tolist() == ours.tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("kind", ["gpt2", "llama3"])
@given(text=TEXTS, chunk_tokens=st.integers(1, 9))
def test_offsets_cover_the_text_and_chunks_are_its_parts(kind, text, chunk_tokens):
    encoded = TOKENIZERS[kind].encode(text)
    chunks = list(encoded.chunks(chunk_tokens))
    assert torch.equal(torch.cat([chunk.ids for chunk in chunks] or [encoded.ids]), encoded.ids)
    assert all(0 < len(chunk.ids) <= chunk_tokens for chunk in chunks)
    ends = 0
    for chunk in chunks:
        start, end = chunk.characters(0, len(chunk.ids))
        assert start <= ends, "no character lies between chunks"
        ends = end
    assert ends == len(text)
    assert TOKENIZERS[kind].decode(encoded.ids) == text


@pytest.mark.parametrize("kind", KINDS)
@given(text=TEXTS)
def test_counting_counts_the_tokenizers_own_tokens(kind, text):
    ours = TOKENIZERS[kind]
    assert ours.count(text) == len(ours.encode(text).ids)


def test_only_byte_level_bpe_is_counted_by_tiktoken():
    assert {kind for kind in KINDS if TOKENIZERS[kind].counts_fast} == {"gpt2", "llama3"}


@pytest.mark.parametrize("kind", ["gpt2", "llama3"])
def test_a_document_cannot_smuggle_in_special_tokens(kind):
    ours = TOKENIZERS[kind]
    text = "before <|end|> after"
    end = ours.tokenizer.convert_tokens_to_ids("<|end|>")
    assert end in ours.tokenizer(text)["input_ids"], "where text is taken for prompts, it would be special"
    encoded = ours.encode(text)
    assert end not in encoded.ids
    assert ours.decode(encoded.ids) == text
    assert ours.count(text) == len(encoded.ids)


def test_a_tokenizer_that_truncates_and_pads_does_neither_to_documents():
    made = tokenizer("gpt2")
    made.backend_tokenizer.enable_truncation(3)
    made.backend_tokenizer.enable_padding(length=50)
    assert torch.equal(TextTokenizer(made).encode(CORPUS[0]).ids, TOKENIZERS["gpt2"].encode(CORPUS[0]).ids)


def test_several_texts_are_encoded_as_each_alone():
    ours = TOKENIZERS["llama3"]
    for text, encoded in zip(CORPUS[:3], ours.encode_all(CORPUS[:3]), strict=True):
        assert torch.equal(encoded.ids, ours.encode(text).ids)
        assert torch.equal(encoded.offsets, ours.encode(text).offsets)


def test_a_tokenizer_without_offsets_is_refused():
    class Slow:
        is_fast = False

    with pytest.raises(TokenizerError, match="Slow gives no character offsets; load a fast tokenizer"):
        TextTokenizer(Slow())


def test_sentences_end_behind_full_stops_and_lines_but_numbers_and_names_stay_whole():
    tokenizer = tiny_engine.tokenizer()
    after, before = sentence_borders(tokenizer)
    method = SharedLLMConfig(injection_layers=1, split_after=after, split_before=before)
    text = "Clause 3.14 holds. The rent is paid\n- within days! See example.com, or call 5.30."
    ids = TextTokenizer(tokenizer).encode(text)
    starts = [ids.characters(place, place + 1)[0] for place in sentence_starts(ids.ids, method)]
    assert [text[start : start + 6] for start in starts] == [" The r", "- with", " See e"]


def test_a_decoder_that_takes_spaces_off_hides_no_border():
    after, before = sentence_borders(tiny_engine.byte_fallback_tokenizer())
    tokenizer = tiny_engine.byte_fallback_tokenizer()
    assert tokenizer.convert_tokens_to_ids("<0x2E>") in after
    assert tokenizer.convert_tokens_to_ids("▁") in before
    assert tokenizer.convert_tokens_to_ids("a") not in before


@given(st.lists(st.integers(1, 300), unique=True).map(sorted), st.integers(1, 300), st.integers(4, 64))
def test_chunks_end_at_the_last_border_of_their_last_quarter(borders, length, chunk_tokens):
    whole = TokenizedText(torch.arange(length), torch.arange(length)[:, None].expand(-1, 2))
    parts = list(whole.chunks(chunk_tokens, borders))
    assert torch.cat([part.ids for part in parts]).tolist() == list(range(length))
    start = 0
    for part in parts[:-1]:
        full = start + chunk_tokens
        near = [border for border in borders if full - chunk_tokens // 4 <= border <= full and border > start]
        start += len(part.ids)
        assert start == (near[-1] if near else full)
