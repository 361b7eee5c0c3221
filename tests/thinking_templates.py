"""Chat templates as reasoning models have them, and a tiny model that generates scripted texts."""

from functools import wraps

import torch
from transformers import AddedToken, LlamaConfig, LlamaForCausalLM

from sharedllm_core import SharedLLMEngine
from tests import tiny, tiny_engine

_MESSAGES = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"

#: Thinks unless `enable_thinking` is false, which writes empty thoughts. Thoughts after the last question are kept.
QWEN3 = (
    "{% set ns = namespace(last=0) %}"
    "{% for m in messages %}{% if m['role'] == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
    "{% if tools %}<|system|><tools>{{ tools | tojson }}</tools> <tool_call><|end|>{% endif %}"
    "{% for m in messages %}<|{{ m['role'] }}|>"
    "{% if m['reasoning_content'] and loop.index0 > ns.last %}<think>\n{{ m['reasoning_content'] }}\n</think>\n\n"
    "{% endif %}{{ m['content'] }}{% for c in m['tool_calls'] or [] %}"
    "<tool_call>\n{{ c['function'] | tojson }}\n</tool_call>{% endfor %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
#: Always thinks: the prompt begins the thoughts.
R1 = (
    "{% for m in messages %}<|{{ m['role'] }}|>"
    "{{ m['content'].split('</think>')[-1] if m['role'] == 'assistant' else m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)
#: As R1, but it leaves the beginning of the thoughts to the model.
R1_0528 = R1.replace("<|assistant|><think>\n", "<|assistant|>")
#: Thinks only if `thinking` is true, which changes the instructions; answers then stand between markers.
GRANITE = (
    "{% if thinking %}<|system|>Write your thoughts between <think></think>, and then your response between "
    "<response></response>.<|end|>{% endif %}" + _MESSAGES + "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
#: `thinking` decides whether the prompt begins or ends the thoughts; by default it ends them.
DEEPSEEK_V31 = (
    "{% if not thinking is defined %}{% set thinking = false %}{% endif %}" + _MESSAGES + "{% if add_generation_prompt "
    "%}<|assistant|>{% if thinking %}<think>{% else %}</think>{% endif %}{% endif %}"
)
#: Never thinks, since every prompt holds empty thoughts.
EMPTY_THOUGHTS = _MESSAGES + "{% if add_generation_prompt %}<|assistant|><think>\n\n</think>\n\n{% endif %}"

#: Thinks unless the last message contains "/no_think"; there is no variable for it.
NEMOTRON = (
    _MESSAGES + "{% if add_generation_prompt %}<|assistant|>{% if '/no_think' in messages[-1]['content'] %}"
    "<think></think>{% else %}<think>\n{% endif %}{% endif %}"
)


def tokenizer(template, added=("<think>", "</think>"), *, special=False):
    """The tiny tokenizer with a template, and markers that are single tokens; `added=()` leaves them plain text."""
    made = tiny_engine.tokenizer()
    made.add_tokens([AddedToken(text, special=special, normalized=False) for text in added])
    made.chat_template = template
    return made


def scripted_engine(template, script, *, window=2048, tokenizer=tokenizer, **options):
    """An engine whose model generates scripted texts.

    Args:
        template: the chat template.
        script: the text to generate, or a text by a word of the question. Each ends with the end token, unless it ends
            with "…", which repeats the last token.
        options: of the engine.
    """
    made = tokenizer(template) if callable(tokenizer) else tokenizer
    torch.manual_seed(0)
    sizes = {**tiny.SHAPE, "vocab_size": len(made), "max_position_embeddings": window, "num_hidden_layers": 1}
    sizes |= {"bos_token_id": None, "eos_token_id": made.eos_token_id, "pad_token_id": made.pad_token_id}
    model = LlamaForCausalLM(LlamaConfig(**sizes))
    follow_script(model, made, script)
    # All of a prompt is read, since the script begins where one is.
    return SharedLLMEngine(model, made, cache=tiny_engine.memory_cache(), **{"kept_prompt_bytes": 0, **options})


def follow_script(model, tokenizer, script):
    """Make a model generate a script, see `scripted_engine`."""
    model.forward = _Script(tokenizer, script, model.forward).forward(model)


class _Script:
    def __init__(self, tokenizer, script, inner):
        self.tokenizer = tokenizer
        self.texts = {"": script} if isinstance(script, str) else script
        self.inner = inner
        self.rows = []
        self.step = 0

    def forward(self, model):
        @wraps(type(model).forward)
        def forward(*args, **kwargs):
            result = self.inner(*args, **kwargs)
            input_ids = kwargs["input_ids"] if "input_ids" in kwargs else args[0]
            if input_ids.shape[1] > 1:
                self.rows = [self.ids_for(self.tokenizer.decode(ids)) for ids in input_ids]
                self.step = 0
            for row, ids in enumerate(self.rows):
                result.logits[row, -1, ids[min(self.step, len(ids) - 1)]] = 100.0
            self.step += 1
            return result

        return forward

    def ids_for(self, prompt):
        word = max((word for word in self.texts if word in prompt), key=len)
        text = self.texts[word]
        ids = self.tokenizer(text.removesuffix("…"), add_special_tokens=False)["input_ids"]
        return ids if text.endswith("…") else [*ids, self.tokenizer.eos_token_id]
