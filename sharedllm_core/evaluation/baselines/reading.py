"""Running text, read through a model block by block: how every baseline prefills, scores a text and writes an answer.

What a model holds of a long text beside its cache is bounded by the block. Ids in, ids and losses out.
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import DynamicCache

from ... import DeviceMemoryError, Document, InputError, SharedLLMEngine, WindowError
from ...decoding.answer_text import DecodedAnswer
from ...decoding.rows import eos_token_ids
from ...method.checks import check_whole
from ...model.inputs import Ids, read_ids
from ...model.lower_model import is_out_of_memory
from ...model.renamed import KV_CACHE
from ..system import System
from .prompt import PromptLayout, document_ids

__all__ = [
    "BlockwiseSystem",
    "TextReader",
    "checked_texts",
    "memory_is_a_result",
    "questions_of",
    "window_losses",
    "window_of",
]

_LOGIT_TOKENS = 256  # whose logits are held at once, when a text is scored


class TextReader:
    """A model in the middle of a running text; what it has read is in its cache.

    Args:
        model: a causal language model of transformers.
        block_tokens: the most tokens to read at once.
        inputs: further arguments of the model's `forward`.
    """

    def __init__(self, model: Any, block_tokens: int, **inputs: Any) -> None:
        self.model = model
        self.cache = DynamicCache()
        self._block_tokens = block_tokens
        self._inputs = inputs

    @property
    def device(self) -> torch.device:
        """Where ids are read."""
        device: torch.device = self.model.get_input_embeddings().weight.device
        return device

    @torch.no_grad()
    def read(self, ids: Tensor, num_logits: int = 1) -> Tensor:
        """Go on by a text [n] of one token or more.

        Returns:
            float32 logits [num_logits, vocabulary] after the last tokens, which must be of the last block.
        """
        *before, last = ids.split(self._block_tokens)
        for block in before:
            self._read_block(block, 1)
        return self._read_block(last, num_logits).float()

    def _read_block(self, ids: Tensor, num_logits: int) -> Tensor:
        read = self.model(
            ids[None].to(self.device),
            use_cache=True,
            logits_to_keep=num_logits,
            **{KV_CACHE: self.cache},
            **self._inputs,
        )
        logits: Tensor = read.logits[0]
        return logits

    def mark(self) -> Any:
        """This place in the text, to go back to."""
        return self.cache.get_seq_length()

    def go_back(self, mark: Any) -> None:
        """Forget what was read since a mark."""
        if (since := self.cache.get_seq_length() - mark) > 0:
            self.cache.crop(-since)

    def losses(self, context_ids: Tensor, target_ids: Tensor) -> Tensor:
        """−log p, float32 [n], of each token of a target that follows a context of one token or more."""
        if len(context_ids) > 1:
            self.read(context_ids[:-1])
        inputs = torch.cat((context_ids[-1:], target_ids[:-1]))
        held = min(_LOGIT_TOKENS, self._block_tokens)
        parts = [
            cross_entropy(self.read(read, len(read)), target.to(self.device), reduction="none").cpu()
            for read, target in zip(inputs.split(held), target_ids.split(held), strict=True)
        ]
        return torch.cat(parts)

    def write(self, ids: Tensor, written: DecodedAnswer, max_new_tokens: int) -> None:
        """Read the end of a prompt and write the answer greedily, until it ends or has so many tokens."""
        logits = self.read(ids)
        for number in range(max_new_tokens):
            token = logits[-1].argmax()[None]
            if written.push(int(token)) or number + 1 == max_new_tokens:
                break
            logits = self.read(token)
        written.end("length")


class BlockwiseSystem(System):
    """A system that reads all documents as running text, however long.

    Questions share what was read up to where they differ.

    Args:
        engine: whose base model is used.
        block_tokens: the most tokens to read at once.
    """

    def __init__(self, engine: SharedLLMEngine, *, block_tokens: int = 2048) -> None:
        check_whole("block_tokens", block_tokens, at_least=1, error=InputError)
        self.engine = engine
        self.block_tokens = block_tokens

    @abstractmethod
    def _reader(self, length: int) -> TextReader:
        """A reader for a text that will have `length` tokens in all."""

    def _reads_alike(self, length: int) -> object:
        """What must be equal of two texts' lengths for them to share what was read. Nothing, by default."""
        return None

    def answers(self, documents: Sequence[Document], questions: Sequence[str], max_new_tokens: int) -> list[str]:
        """See `System`."""
        tokenizer = self.engine.tokenizer
        layouts = questions_of(questions, tokenizer, max_new_tokens)
        text_ids = document_ids(documents, tokenizer)
        prompts = [layout.ids(text_ids) for layout in layouts]
        eos_ids = eos_token_ids(self.engine.model, tokenizer)
        written = [DecodedAnswer(tokenizer, eos_ids, (), _ignore) for _ in prompts]
        groups: dict[object, list[int]] = {}
        for number, prompt in enumerate(prompts):
            groups.setdefault(self._reads_alike(len(prompt) + max_new_tokens), []).append(number)
        with memory_is_a_result(self.name):
            for group in groups.values():
                own = [prompts[number] for number in group]
                shared = _shared_tokens(own)
                reader = self._reader(len(own[0]) + max_new_tokens)
                if shared:
                    reader.read(own[0][:shared])
                mark = reader.mark()
                for number, prompt in zip(group, own, strict=True):
                    reader.go_back(mark)
                    reader.write(prompt[shared:], written[number], max_new_tokens)
        return [row.text for row in written]

    def losses(self, past_ids: Tensor, target_ids: Tensor) -> Tensor:
        """See `System`. All of both texts is read."""
        past, target = checked_texts(self.engine, past_ids, target_ids)
        with memory_is_a_result(self.name):
            return self._reader(len(past) + len(target) - 1).losses(past, target)


def window_losses(engine: SharedLLMEngine, context_ids: Tensor, target_ids: Tensor, past_context: Any = None) -> Tensor:
    """−log p of a target that follows a context, both in the window of the engine's model."""
    return TextReader(engine.model, _LOGIT_TOKENS, past_context=past_context).losses(context_ids, target_ids)


def window_of(engine: SharedLLMEngine) -> int:
    """Tokens in the base model's window."""
    window: int = engine.model.config.get_text_config().max_position_embeddings
    return window


def questions_of(questions: Sequence[str], tokenizer: Any, max_new_tokens: int) -> list[PromptLayout]:
    """The layouts of questions.

    Raises:
        InputError: one string, an empty question, or no token to generate.
    """
    if isinstance(questions, str):
        raise InputError("questions is one string", remedy="give a list of questions")
    check_whole("max_new_tokens", max_new_tokens, at_least=1, error=InputError)
    return [PromptLayout.of(question, tokenizer) for question in questions]


def checked_texts(
    engine: SharedLLMEngine, past_ids: Ids, target_ids: Ids, *, longest: int | None = None
) -> tuple[Tensor, Tensor]:
    """Past and target as 1-D ids on the CPU.

    Raises:
        InputError: not ids, or an empty one.
        WindowError: a target of more than `longest` tokens.
    """
    past, target = (
        read_ids(ids, engine.model.vocab_size, what).cpu()
        for ids, what in ((past_ids, "past_ids"), (target_ids, "target_ids"))
    )
    if not len(past) or not len(target):
        empty = "target_ids" if len(past) else "past_ids"
        raise InputError(
            f"{empty} is empty", remedy="a target of one token or more is predicted from a past of one or more"
        )
    if longest is not None and len(target) > longest:
        raise WindowError(
            f"the target has {len(target)} tokens and the base model's window {longest}",
            remedy="measure it in parts, each with the text before it as past",
        )
    return past, target


@contextmanager
def memory_is_a_result(name: str) -> Iterator[None]:
    """Running out of memory as the error that measurements know.

    Raises:
        DeviceMemoryError: the device has too little memory.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise DeviceMemoryError(
            f"the device has too little memory for {name}", remedy=["give fewer documents", "use a larger device"]
        ) from error


def _shared_tokens(prompts: Sequence[Tensor]) -> int:
    """How many tokens all prompts begin with; at least the last token of each is its own."""
    length = min(len(prompt) for prompt in prompts) - 1
    alike = torch.stack([prompt[:length] for prompt in prompts])
    differing = (alike != alike[0]).any(dim=0).nonzero()
    return int(differing[0]) if len(differing) else length


def _ignore(piece: str) -> None:
    pass
