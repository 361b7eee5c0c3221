"""Step 2 of the embedded model: its first weights, random ones with a few circuits written in.

    python examples/default_model/start.py --tokenizer runs/tokenizer --out runs/start

A small model needs very long to discover how to find and to copy: heads that look one token back, and heads of the next
layers that use what those found. So they are there from the start, and training refines them. There are few heads, and
they are wide: a head tells as many words apart as it has dimensions for. The hidden state has parts, each for one thing
(D is the size of a head, a quarter of the hidden size):

    a constant, which lets a head attend by place alone; how rare the token is, and the one before it, from −1 to 1
    who       the token is: a random vector of D numbers
    before    who the token before is        written by head 0 of the first layer
    earlier   who the one before that is     by head 1
    sentence  who stands nearby, all in one  by head 2, over a sentence's length
    question  the same                       by head 3, over a question's length
    votes     what the words of the question stand beside

In the second layer the injection has a head that copies what stands behind the same two tokens (induction), a head of
votes, by which each word of the running text collects who stands in sentences with that word, and two heads that
compare question and sentence, leave out what the question says itself, and copy. In the third layer self-attention
brings the votes of a question together, and the injection looks up by them. Everything else is small random numbers.

Content is compared in those dimensions only that chunk positions hardly turn, hence the large `rope_theta`.
"""

import argparse
import json
import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from sharedllm_core import SharedLLMConfig, SharedLLMForCausalLM
from sharedllm_core.text.tokenization import sentence_borders

HEADS = 4
ROPE_THETA = 1e10
POSITIONS = 256  # chunk positions over which content stays comparable
STD = 0.5  # of the numbers of who a token is
CONSTANT = 2.0
NOISE = 0.02  # standard deviation of every other weight
# By which RoPE turns a head finds a place: two would meet again some twenty tokens farther on, and find that, too.
BEFORE_TURNS, SENTENCE_TURNS, QUESTION_TURNS = (1.0, 0.62, 0.38, 0.24, 0.15), (0.04,), (0.035,)
# Logits of a head for the place and for the rare tokens that it looks for, over others.
BEFORE, SENTENCE, QUESTION, RARE, GATHER, GATHER_RARE = 14.0, 3.5, 3.0, 0.7, 6.0, 1.0
# What is compared is multiplied by these, in query and key.
SAME, VOTE, MATCH, LEFT_OUT, VOTED = 1.5, 1.7, 1.5, 1.1, 1.5
# Of heads that copy: logits for rare tokens, and for tokens behind frequent ones, where values often begin.
COPIES_RARE, COPIES_BEHIND_FREQUENT = 1.2, 1.2
# How strongly is written what a head found.
SUMS, VOTES, GATHERED, COPY, LOOKED_UP, BY_VOTES = 3.0, 6.0, 3.0, 1.0, 2.9, 0.4


class Parts:
    """Where the hidden state has what."""

    constant, rarity, rarity_before = 0, 1, 2
    who: slice
    before: slice
    earlier: slice
    sentence: slice
    question: slice
    votes: slice

    def __init__(self, hidden: int) -> None:
        self.head = hidden // HEADS
        at = 3
        for name, share in (("who", 1.0), ("before", 0.78), ("earlier", 0.36), ("sentence", 0.75), ("question", 0.5)):
            width = int(share * self.head)
            setattr(self, name, slice(at, at + width))
            at += width
        self.votes = slice(at, hidden)


def width(part: slice) -> int:
    """Dimensions of a part."""
    size: int = part.stop - part.start
    return size


def first_weights(
    tokenizer: PreTrainedTokenizerFast, counts: Tensor, hidden: int, layers: int, method: SharedLLMConfig, seed: int = 0
) -> SharedLLMForCausalLM:
    """A model with the circuits in its first three layers and in its injection.

    Args:
        tokenizer: of the model.
        counts: how often each token occurs, [vocabulary].
        hidden: E, a multiple of 8.
        layers: N, at least 3.
        method: with at least 3 injection layers.
        seed: of the random weights.
    """
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=hidden * 12 // 7,
        num_hidden_layers=layers,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        initializer_range=NOISE,
        rope_theta=ROPE_THETA,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    base: Any = LlamaForCausalLM(config)
    circuits = Circuits(base.model, counts)
    with tempfile.TemporaryDirectory() as folder:
        base.save_pretrained(folder)
        model = SharedLLMForCausalLM.from_base(folder, method)
    model.config.base = None  # there is none to go back to
    with torch.no_grad():
        injections: Any = model.injection
        for injection in injections:
            injection.o_proj.weight.normal_(std=NOISE)
        for number, (query, output) in circuits.injections.items():
            injections[number].q_proj.weight.copy_(query)
            injections[number].o_proj.weight.copy_(output)
    return model


class Circuits:
    """Writes the circuits into a base model, and keeps what belongs into its injection.

    Attributes:
        injections: query and output projection by layer.
    """

    @torch.no_grad()
    def __init__(self, model: Any, counts: Tensor) -> None:
        hidden = model.config.hidden_size
        self._parts = Parts(hidden)
        self._head = self._parts.head
        half = self._head // 2
        self._frequencies = [ROPE_THETA ** (-i / half) for i in range(half)]
        slow = [i for i, frequency in enumerate(self._frequencies) if frequency * POSITIONS < 0.85]
        self._slow = torch.tensor([*slow, *(half + i for i in slow)])
        self._biases = [slow[-1], slow[-2]]  # dimensions for what depends on the key alone
        parts = self._parts
        self._seen = {
            name: _directions(width(getattr(parts, name)), width(parts.who))
            for name in ("before", "earlier", "sentence", "votes")
        }
        # The same word is the same direction in both sums.
        self._seen["question"] = self._seen["sentence"][: width(parts.question)]
        # Root mean squares of the hidden states that each layer reads.
        power = CONSTANT**2 * 1.3 + width(parts.who) * STD**2
        written = sum(width(part) for part in (parts.before, parts.earlier, parts.sentence, parts.question)) * STD**2
        self._scales = [math.sqrt(power / hidden), math.sqrt((power + written) / hidden)]
        self._scales.append(self._scales[1] * 1.05)
        self.injections = {
            layer: (torch.zeros(HEADS * self._head, hidden), torch.zeros(hidden, HEADS * self._head))
            for layer in (1, 2)
        }
        self._write_embeddings(model, counts)
        self._write_first_layer(model.layers[0].self_attn)
        self._write_second_layer(model.layers[1].self_attn)
        self._write_third_layer(model.layers[2].self_attn)

    # ------------------------------------------------------------------------------------------ layers

    def _write_embeddings(self, model: Any, counts: Tensor) -> None:
        parts = self._parts
        rarity = -((counts.float() + 1) / (counts.sum() + len(counts))).log()
        rarity[counts == 0] = rarity.min()  # what no text has is no name either
        rarity = 2 * (rarity - rarity.min()) / (rarity.max() - rarity.min()) - 1
        embeddings = model.embed_tokens.weight.zero_()
        embeddings[:, parts.who].normal_(std=STD)
        embeddings[:, parts.constant] = CONSTANT
        embeddings[:, parts.rarity] = CONSTANT * rarity
        model.norm.weight.zero_()  # only who a token is predicts one
        model.norm.weight[parts.who] = 1 / (STD * math.sqrt(width(parts.who)))

    def _write_first_layer(self, attention: Any) -> None:
        parts, scale = self._parts, self._scales[0]
        _clear(attention)
        looks = (
            ("before", 1, BEFORE, BEFORE_TURNS, 0.0, 1.0),
            ("earlier", 2, BEFORE, BEFORE_TURNS, 0.0, 1.0),
            ("sentence", 0, SENTENCE, SENTENCE_TURNS, RARE, SUMS),
            ("question", 0, QUESTION, QUESTION_TURNS, RARE, SUMS),
        )
        for head, (name, back, gain, turns, rare, strength) in enumerate(looks):
            self._look_back(attention, 0, head, back, gain, turns)
            self._prefer_rare(attention, 0, head, rare)
            self._copy(attention, attention.o_proj.weight, 0, head, name, strength)
        last = self._head - 1  # of head 0, which also brings how rare the token before is
        attention.v_proj.weight[last, parts.rarity] = 1
        attention.o_proj.weight[parts.rarity_before, last] = scale

    def _write_second_layer(self, attention: Any) -> None:
        _clear(attention)
        self._write_induction(attention, 1, 0)
        self._write_votes(attention, 1, 1)
        for head in (2, 3):  # in dimensions of their own, so that what one mistakes the other may tell apart
            self._write_look_up(attention, 1, head)

    def _write_third_layer(self, attention: Any) -> None:
        _clear(attention)
        self._write_induction(attention, 2, 0)
        self._write_look_up_by_votes(attention, 2, 1)
        self._write_look_up(attention, 2, 2)
        gathers = 3
        self._look_back(attention, 2, gathers, 0, GATHER, QUESTION_TURNS)
        self._prefer_rare(attention, 2, gathers, GATHER_RARE)
        votes, rows = self._parts.votes, self._rows(gathers, width(self._parts.votes))
        attention.v_proj.weight[rows, votes] = torch.eye(width(votes))
        attention.o_proj.weight[votes, rows] = torch.eye(width(votes)) * GATHERED * self._scales[2]

    # ------------------------------------------------------------------------------------------ heads of the injection

    def _write_induction(self, attention: Any, layer: int, head: int) -> None:
        parts, seen = self._parts, self._seen
        one, two = self._halves(head)
        self._compare(attention, layer, one, (parts.who, seen["before"]), (parts.before, None), SAME, SAME)
        back = seen["earlier"] @ seen["before"].T  # who the token before is, as `earlier` has it
        self._compare(attention, layer, two, (parts.before, back), (parts.earlier, None), SAME * 1.6, SAME)
        self._copy(attention, self.injections[layer][1], layer, head, "who", COPY)

    def _write_votes(self, attention: Any, layer: int, head: int) -> None:
        parts, seen = self._parts, self._seen
        dimensions = head * self._head + self._slow
        self._compare(attention, layer, dimensions, (parts.who, seen["sentence"]), (parts.sentence, None), VOTE, VOTE)
        self._prefer_beginnings(attention, layer, head)
        self._copy(attention, self.injections[layer][1], layer, head, "votes", VOTES)

    def _write_look_up(self, attention: Any, layer: int, head: int) -> None:
        parts = self._parts
        one, two = self._halves(head)
        shared = slice(parts.sentence.start, parts.sentence.start + width(parts.question))
        self._compare(attention, layer, one, (parts.question, None), (shared, None), MATCH, MATCH)
        self._leave_out_what_is_asked(attention, layer, two)
        self._prefer_beginnings(attention, layer, head)
        self._copy(attention, self.injections[layer][1], layer, head, "who", LOOKED_UP)

    def _write_look_up_by_votes(self, attention: Any, layer: int, head: int) -> None:
        parts, seen = self._parts, self._seen
        one, two = self._halves(head)
        self._compare(attention, layer, one, (parts.votes, None), (parts.who, seen["votes"]), VOTED, VOTED)
        self._leave_out_what_is_asked(attention, layer, two)
        self._prefer_beginnings(attention, layer, head)
        self._copy(attention, self.injections[layer][1], layer, head, "who", BY_VOTES)

    # ------------------------------------------------------------------------------------------ what heads are made of

    def _look_back(
        self, attention: Any, layer: int, head: int, back: int, gain: float, turns: tuple[float, ...]
    ) -> None:
        """Logits of gain · mean of cos(turn · (distance − back)), greatest so many tokens back."""
        half, constant = self._head // 2, CONSTANT / self._scales[layer]
        for turn in turns:
            at = min(range(half), key=lambda i: abs(math.log(self._frequencies[i] / turn)))
            strength = math.sqrt(gain / len(turns) * math.sqrt(self._head)) / constant
            angle = -self._frequencies[at] * back
            at += head * self._head
            attention.q_proj.weight[at, self._parts.constant] = strength * math.cos(angle)
            attention.q_proj.weight[at + half, self._parts.constant] = strength * math.sin(angle)
            attention.k_proj.weight[at, self._parts.constant] = strength

    def _prefer_rare(self, attention: Any, layer: int, head: int, gain: float) -> None:
        at = head * self._head + self._head // 2 - 1
        self._bias(attention.q_proj.weight, attention.k_proj.weight, layer, at, gain, self._parts.rarity)

    def _prefer_beginnings(self, attention: Any, layer: int, head: int) -> None:
        query, key, first = self.injections[layer][0], attention.k_proj.weight, head * self._head
        parts = self._parts
        self._bias(query, key, layer, first + self._biases[0], COPIES_RARE, parts.rarity)
        self._bias(query, key, layer, first + self._biases[1], -COPIES_BEHIND_FREQUENT, parts.rarity_before)

    def _bias(self, query: Tensor, key: Tensor, layer: int, at: int, gain: float, of: int) -> None:
        """Logits of gain · the number that the key's token has in `of`."""
        constant = CONSTANT / self._scales[layer]
        strength = math.sqrt(abs(gain) * math.sqrt(self._head)) / constant
        query[at], key[at] = 0, 0
        query[at, self._parts.constant] = strength
        key[at, of] = math.copysign(strength, gain)

    def _leave_out_what_is_asked(self, attention: Any, layer: int, dimensions: Tensor) -> None:
        parts, seen = self._parts, self._seen
        asked, own = (parts.question, None), (parts.who, seen["question"])
        self._compare(attention, layer, dimensions, asked, own, -LEFT_OUT, LEFT_OUT)

    def _compare(
        self,
        attention: Any,
        layer: int,
        dimensions: Tensor,
        asked: tuple[slice, Tensor | None],
        found: tuple[slice, Tensor | None],
        query_gain: float,
        key_gain: float,
    ) -> None:
        """Let queries and keys meet where two parts are alike, each seen through a projection."""
        (query_part, query_seen), (key_part, key_seen) = asked, found
        common = width(key_part) if key_seen is None else len(key_seen)
        picked = _directions(min(len(dimensions), common), common)
        dimensions = dimensions[: len(picked)]
        query, key = self.injections[layer][0], attention.k_proj.weight
        query[dimensions, query_part] = (picked if query_seen is None else picked @ query_seen) * query_gain
        key[dimensions, key_part] = (picked if key_seen is None else picked @ key_seen) * key_gain

    def _copy(self, attention: Any, output: Tensor, layer: int, head: int, to: str, strength: float) -> None:
        """Bring who the token is, as the part `to` has it."""
        part = getattr(self._parts, to)
        rows = self._rows(head, width(part))
        seen = torch.eye(width(part)) if to == "who" else self._seen[to]
        attention.v_proj.weight[rows, self._parts.who] = seen
        output[part, rows] = torch.eye(width(part)) * strength * self._scales[layer]

    def _rows(self, head: int, count: int) -> slice:
        return slice(head * self._head, head * self._head + count)

    def _halves(self, head: int) -> tuple[Tensor, Tensor]:
        dimensions = head * self._head + self._slow
        middle = len(dimensions) // 2
        return dimensions[:middle], dimensions[middle:]


def _clear(attention: Any) -> None:
    for projection in (attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj):
        projection.weight.zero_()


def _directions(count: int, of: int) -> Tensor:
    """So many random directions at right angles, [count, of]."""
    return torch.linalg.qr(torch.randn(of, count))[0].T.contiguous()


def embedded_method(tokenizer: PreTrainedTokenizerFast, injection_layers: int) -> SharedLLMConfig:
    """The numbers of the method that the embedded model answers with."""
    split_after, split_before = sentence_borders(tokenizer)
    return SharedLLMConfig(
        injection_layers=injection_layers,
        chunk_tokens=512,
        tree_depth=4,
        compression_ratio=8,
        finest_compression_ratio=1,
        min_injected_states=512,
        min_score_share=0.7,
        min_node_tokens=48,
        policy="lexical",
        scope="past",
        split_noise_tokens=0,
        split_after=split_after,
        split_before=split_before,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the first weights of the embedded model.")
    parser.add_argument("--tokenizer", required=True, help="folder of step 1")
    parser.add_argument("--out", required=True, help="folder for the model")
    parser.add_argument("--hidden", type=int, default=448, help="hidden size, a multiple of 8")
    parser.add_argument("--layers", type=int, default=4, help="decoder layers, at least 3")
    parser.add_argument("--injection-layers", type=int, default=3, help="M, at least 3")
    parser.add_argument("--full-attention", action="store_true", help="read nodes in both directions")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if (Path(given.out) / "config.json").is_file():
        print(f"{given.out} holds a model; remove it to make another")
        return
    tokenizer = PreTrainedTokenizerFast.from_pretrained(given.tokenizer)
    counts = torch.tensor(json.loads((Path(given.tokenizer) / "counts.json").read_text(encoding="utf-8")))
    method = embedded_method(tokenizer, given.injection_layers)
    if given.full_attention:
        method = replace(method, lower_attention="full")
    model = first_weights(tokenizer, counts, given.hidden, given.layers, method, given.seed)
    model.save_pretrained(given.out)
    tokenizer.save_pretrained(given.out)
    print(f"{model.num_parameters():,} parameters in {given.out}")


if __name__ == "__main__":
    main()
