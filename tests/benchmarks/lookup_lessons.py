"""The experiment of `ablations.py`: a small model that learns to look values up in chunks, and how well it does.

Chunks hold facts, a key and its value each, with filler between them; a question is a key. Where chunks disagree, the
last one is right. From random weights the model learns in three lessons: to look up, to do so through states that stand
for several tokens, and from context trees, of which only the path to the asked key is fine. It trains and answers
through `TrainableSharedLLMForCausalLM`, so that it is the library that is measured.
"""

import random
import sys
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import torch
from torch import nn
from transformers import LlamaConfig

from sharedllm_core import SharedLLMConfig
from sharedllm_core.model.base_families import INJECTED_LAYERS
from sharedllm_core.model.configuration import SharedLLMModelConfig
from sharedllm_core.model.injection import Inject
from sharedllm_core.model.past_context import PastContextBatch
from sharedllm_core.training.batch import collate
from sharedllm_core.training.config import Trained
from sharedllm_core.training.items import NO_LOSS, Item
from sharedllm_core.training.trainable import TrainableSharedLLMForCausalLM, set_trained

KEYS, VALUES, FILLERS = range(32), range(32, 64), range(64, 80)
ROWS, WARMUP_STEPS, ASKED_AT_ONCE = 32, 30, 64

# Suffixes: B rows, T tokens of questions and answers.


@dataclass(frozen=True)
class Setup:
    """What an arm may change.

    Attributes:
        method: the numbers of the method, as the last lesson has them.
        layers: the injected layers; the lower model stays the bottom ones.
        trained: in the last lesson; those before train all weights, since there is no pretrained base.
        chunks: how many a question is about.
        blind: the selection policy is shown keys drawn by lot, one of each chunk, in place of the asked one.
        ordered: chunks have positions; without, neither keys nor queries of the injection are rotated.
        random_positions: `TrainingConfig.random_chunk_positions` of the last lesson.
    """

    method: SharedLLMConfig
    layers: tuple[int, ...] = (0, 1)
    trained: Trained = "all"
    chunks: int = 2
    blind: bool = False
    ordered: bool = True
    random_positions: int = 0


@dataclass(frozen=True)
class Lesson:
    """One kind of training data: chunks of so many facts and so many tokens of filler between them, in any order.

    In longer chunks than `chunk_tokens` there is more filler.
    """

    facts: int
    fillers: int
    questions: int
    learning_rate: float

    @property
    def chunk_tokens(self) -> int:
        """C: a fact has two tokens."""
        return 2 * self.facts + self.fillers

    def setup(self, setup: Setup) -> Setup:
        """What an arm's setup means in this lesson: before the last one no node is coarse, and nothing is chosen.

        An encoder-decoder's chunks are not compressed in any lesson; the chunks of the last one may be longer.
        """
        if self is LESSONS[-1]:
            return setup
        sizes: dict[str, Any] = {"chunk_tokens": self.chunk_tokens}
        if setup.method.tree_depth:
            sizes |= {"tree_depth": 1, "compression_ratio": self.chunk_tokens / self.facts}
        method = replace(setup.method, policy="right", split_noise_tokens=0, **sizes)
        return Setup(method, setup.layers, ordered=setup.ordered)


LESSONS = (
    Lesson(facts=4, fillers=0, questions=8, learning_rate=2e-3),
    Lesson(facts=4, fillers=8, questions=8, learning_rate=2e-3),
    Lesson(facts=12, fillers=40, questions=1, learning_rate=1e-3),
)


class Model(TrainableSharedLLMForCausalLM):
    """A model with random weights, whose injection may stand in other layers than the bottom ones."""

    def __init__(self, setup: Setup) -> None:
        base = LlamaConfig(
            vocab_size=FILLERS.stop,
            hidden_size=128,
            intermediate_size=352,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=256,
            initializer_range=0.04,
            tie_word_embeddings=False,
        )
        super().__init__(SharedLLMModelConfig(text_config=base, method=setup.method))
        nn.init.normal_(self.model.embed_tokens.weight, std=0.5)  # with small embeddings nothing is learned
        self.injected = setup.layers
        injections: Any = self.injection
        for injection, number in zip(injections, setup.layers, strict=True):
            layer = INJECTED_LAYERS["llama"](self.model.config, number)
            layer.load_state_dict(self.model.layers[number].state_dict())
            self.model.layers[number] = layer
            injection.reset(layer)
        if not setup.ordered:
            frequencies, scaling = self.lower_model._rope
            self.lower_model._rope = torch.zeros_like(frequencies), scaling

    def _inject(self, batch: PastContextBatch, device: torch.device) -> Inject | None:
        inject = super()._inject(batch, device)
        if inject is None:
            return None
        # The k-th injection reads the states of the k-th layer, wherever it stands.
        return lambda layer, hidden: inject(self.injected.index(layer), hidden) if layer in self.injected else None


def make_item(chance: random.Random, lesson: Lesson, setup: Setup) -> Item:
    """Chunks of facts and a row of questions and answers; the selection policy sees the first question alone."""
    chunks, values, by_lot = [], dict[int, int](), []
    for _ in range(setup.chunks):
        keys = chance.sample(KEYS, lesson.facts)
        facts = list(zip(keys, chance.choices(VALUES, k=lesson.facts), strict=True))
        fillers = setup.method.chunk_tokens - 2 * lesson.facts
        parts = [*facts, *((one,) for one in chance.choices(FILLERS, k=fillers))]
        chance.shuffle(parts)
        chunks.append(torch.tensor([token for part in parts for token in part]))
        values.update(facts)
        by_lot.append(keys[0])  # of a sample that is in random order
    asked = chance.sample(sorted(values), min(lesson.questions, len(values)))
    text = torch.tensor([[key, values[key]] for key in asked]).flatten()
    labels = text.where(torch.arange(len(text)) % 2 == 1, NO_LOSS)
    return Item(chunks, torch.tensor(by_lot if setup.blind else asked[:1]), text, labels)


def learn(model: Model, setup: Setup, lesson: Lesson, seed: int, steps: int) -> None:
    """Train a model with AdamW; in the last lesson the rate falls to zero."""
    torch.manual_seed(seed)
    chance = random.Random(seed)
    model.train()
    model.random_chunk_positions = setup.random_positions
    set_trained(model, setup.trained)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=lesson.learning_rate, betas=(0.9, 0.98), weight_decay=0)
    for step in range(steps):
        left = 1 - step / steps if lesson is LESSONS[-1] else 1
        optimizer.param_groups[0]["lr"] = lesson.learning_rate * min(1, (step + 1) / WARMUP_STEPS) * left
        loss = model(**collate([make_item(chance, lesson, setup) for _ in range(ROWS)])).loss
        if not loss.isfinite():
            raise FloatingPointError(f"the loss is {float(loss)} at step {step}; use a lower learning rate")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
    print(f"lesson {LESSONS.index(lesson) + 1}: loss {loss.item():.3f}", file=sys.stderr)


@torch.no_grad()
def accuracy(model: Model, setup: Setup, questions: int) -> dict[str, float]:
    """The share of questions whose value is the likeliest token: of all, and of those on which two chunks disagree."""
    chance = random.Random("questions")
    model.eval()
    right: list[bool] = []
    disagreed: list[bool] = []
    while len(right) < questions:
        items = [make_item(chance, LESSONS[-1], setup) for _ in range(min(ASKED_AT_ONCE, questions - len(right)))]
        batch = collate(items)
        value_B = batch.pop("labels")[:, 1]
        batch |= {name: batch[name][:, :1] for name in ("input_ids", "attention_mask")}
        right += (model(**batch).logits[:, -1].argmax(-1) == value_B).tolist()
        disagreed += [sum(int(item.input_ids[0]) in chunk for chunk in item.chunks) > 1 for item in items]
    hard = [is_right for is_right, hard in zip(right, disagreed, strict=True) if hard]
    return {"accuracy": fmean(right), "disagreeing": fmean(hard) if hard else 0.0}
