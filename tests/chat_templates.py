"""Chat templates with the structure of several model families' own, and tiny tokenizers with their control tokens."""

from dataclasses import dataclass, field

from tokenizers import AddedToken

from tests import tiny_engine

#: Tools in the system message, calls between two tags, results in a user's message: Hermes, Qwen2.5 and Qwen3.
HERMES = """
{%- if tools %}
    {{- '<|system|>' }}
    {%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}
    {{- 'Functions:\\n<tools>' }}
    {%- for tool in tools %}{{- '\\n' }}{{- tool | tojson }}{%- endfor %}
    {{- '\\n</tools>\\nTo call one:\\n<tool_call>\\n{"name": <name>, "arguments": <object>}\\n</tool_call><|end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'assistant' and message.tool_calls %}
        {{- '<|assistant|>' + message.content }}
        {%- for call in message.tool_calls %}
            {%- set function = call.function or call %}
            {{- '\\n' if not loop.first or message.content else '' }}
            {{- '<tool_call>\\n{"name": "' + function.name + '", "arguments": ' }}
            {{- function.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|end|>\\n' }}
    {%- elif message.role == 'tool' %}
        {%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}{{- '<|user|>' }}{%- endif %}
        {{- '<tool_response>\\n' + message.content + '\\n</tool_response>' }}
        {%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{- '<|end|>\\n' }}{%- endif %}
    {%- elif not (tools and loop.first and message.role == 'system') %}
        {{- '<|' + message.role + '|>' + message.content + '<|end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}
"""

#: The same, and every last answer begins with empty thoughts: Qwen3.
THINKING = HERMES.replace(
    "'<|assistant|>' + message.content }}", "'<|assistant|><think>\\n\\n</think>\\n\\n' + message.content }}"
).replace(
    "{{- '<|' + message.role + '|>' + message",
    "{{- '<|' + message.role + '|>' + ('<think>\\n\\n</think>\\n\\n' if message.role == 'assistant' else '') + message",
)

#: Tools in the first user message, one call per answer, which is bare JSON: Llama 3.1 to 3.3.
LLAMA3 = """
{%- macro header(role) %}{{- '<|start_header_id|>' + role + '<|end_header_id|>\\n\\n' }}{%- endmacro %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- if messages[0].role == 'system' %}
    {%- set system = messages[0].content | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system = '' %}
{%- endif %}
{{- header('system') + system + '<|eot_id|>' }}
{%- if tools is not none %}
    {%- if not messages %}{{- raise_exception('no user message') }}{%- endif %}
    {{- header('user') + 'Answer with {"name": function name, "parameters": arguments}.\\n\\n' }}
    {%- for tool in tools %}{{- tool | tojson(indent=4) + '\\n\\n' }}{%- endfor %}
    {{- messages[0].content | trim + '<|eot_id|>' }}
    {%- set messages = messages[1:] %}
{%- endif %}
{%- for message in messages %}
    {%- if message.tool_calls %}
        {%- if message.tool_calls | length != 1 %}{{- raise_exception('only single tool-calls') }}{%- endif %}
        {%- set function = message.tool_calls[0].function %}
        {{- header('assistant') + '{"name": "' + function.name + '", "parameters": ' }}
        {{- function.arguments | tojson + '}<|eot_id|>' }}
    {%- elif message.role == 'tool' %}
        {{- header('ipython') + message.content | tojson + '<|eot_id|>' }}
    {%- else %}
        {{- header(message.role) + message.content | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- header('assistant') }}{%- endif %}
"""

#: Tools before the last question, calls as an array behind a token, ids of nine characters: Mistral v3, Nemo.
MISTRAL = """
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- if messages[0].role == 'system' %}
    {%- set system = messages[0].content + '\\n\\n' %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system = '' %}
{%- endif %}
{%- set questions = messages | selectattr('role', 'equalto', 'user') | list %}
{%- for message in messages %}
    {%- if message.role == 'user' %}
        {%- if tools is not none and message == questions[-1] %}
            {{- '[AVAILABLE_TOOLS] ' + tools | tojson + '[/AVAILABLE_TOOLS]' }}
        {%- endif %}
        {{- '[INST] ' + (system if loop.last else '') + message.content + '[/INST]' }}
    {%- elif message.tool_calls %}
        {{- '[TOOL_CALLS] [' }}
        {%- for call in message.tool_calls %}
            {%- if call.id is not defined or call.id | length != 9 %}
                {{- raise_exception('Tool call IDs should be alphanumeric strings with length 9!') }}
            {%- endif %}
            {{- (call.function | tojson)[:-1] + ', "id": "' + call.id + '"}' }}
            {{- ', ' if not loop.last else ']' + eos_token }}
        {%- endfor %}
    {%- elif message.role == 'assistant' %}
        {{- ' ' + message.content + eos_token }}
    {%- elif message.role == 'tool' %}
        {%- if message.tool_call_id is not defined or message.tool_call_id | length != 9 %}
            {{- raise_exception('Tool call IDs should be alphanumeric strings with length 9!') }}
        {%- endif %}
        {{- '[TOOL_RESULTS] {"content": ' + message.content | tojson }}
        {{- ', "call_id": "' + message.tool_call_id + '"}[/TOOL_RESULTS]' }}
    {%- else %}
        {{- raise_exception('only user and assistant roles') }}
    {%- endif %}
{%- endfor %}
"""

#: Names and arguments behind tokens of their own: Mistral's newer models.
MISTRAL_ARGS = """
{%- if tools %}{{- '[AVAILABLE_TOOLS]' + tools | tojson + '[/AVAILABLE_TOOLS]' }}{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'user' %}
        {{- '[INST]' + message.content + '[/INST]' }}
    {%- elif message.role == 'system' %}
        {{- '[SYSTEM_PROMPT]' + message.content + '[/SYSTEM_PROMPT]' }}
    {%- elif message.role == 'tool' %}
        {{- '[TOOL_RESULTS]' + message.content + '[/TOOL_RESULTS]' }}
    {%- else %}
        {{- message.content }}
        {%- for call in message.tool_calls or [] %}
            {%- set arguments = call.function.arguments %}
            {{- '[TOOL_CALLS]' + call.function.name + '[ARGS]' }}
            {{- arguments if arguments is string else arguments | tojson }}
        {%- endfor %}
        {{- eos_token }}
    {%- endif %}
{%- endfor %}
"""

#: The same with ids between names and arguments.
MISTRAL_CALL_IDS = MISTRAL_ARGS.replace("'[ARGS]'", "'[CALL_ID]' + call.id + '[ARGS]'")

#: Arguments as JSON text, several tokens around calls: DeepSeek.
NESTED = """
{%- for tool in tools or [] %}{{- tool | tojson + '\\n' }}{%- endfor %}
{%- for message in messages %}
    {%- if message.tool_calls %}
        {{- '<|assistant|>' + message.content + '<|calls|>' }}
        {%- for call in message.tool_calls %}
            {{- '<|call|>function<|sep|>' + call.function.name + '\\n```json\\n' + call.function.arguments }}
            {{- '\\n```<|call_end|>' + ('\\n' if not loop.last else '') }}
        {%- endfor %}
        {{- '<|calls_end|><|end|>' }}
    {%- else %}
        {{- '<|' + message.role + '|>' + message.content + '<|end|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}
"""

#: Names in a tag that is ordinary text, arguments as JSON text: Functionary.
TAGGED = """
{%- for tool in tools or [] %}{{- tool | tojson + '\\n' }}{%- endfor %}
{%- for message in messages %}
    {{- '<|' + message.role + '|>' + message.content }}
    {%- for call in message.tool_calls or [] %}
        {{- '<function=' + call.function.name + '>' + call.function.arguments + '</function>' }}
    {%- endfor %}
    {{- '<|end|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}
"""

#: Arguments are no JSON: Qwen3-Coder.
XML = """
{%- for tool in tools or [] %}{{- tool | tojson + '\\n' }}{%- endfor %}
{%- for message in messages %}
    {{- '<|' + message.role + '|>' + message.content }}
    {%- for call in message.tool_calls or [] %}
        {{- '<tool_call>\\n<function=' + call.function.name + '>\\n' }}
        {%- for name, value in call.function.arguments | items %}
            {{- '<parameter=' + name + '>\\n' + value | string + '\\n</parameter>\\n' }}
        {%- endfor %}
        {{- '</function>\\n</tool_call>' }}
    {%- endfor %}
    {{- '<|end|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}
"""

#: Arguments that are an object are rendered in a notation that is no JSON, text as it is: Gemma 4.
OWN_VALUES = """
{%- for tool in tools or [] %}{{- tool | tojson + '\\n' }}{%- endfor %}
{%- for message in messages %}
    {{- '<|' + message.role + '|>' + message.content }}
    {%- for call in message.tool_calls or [] %}
        {{- '<tool_call>' + call.function.name + '{' }}
        {%- if call.function.arguments is string %}
            {{- call.function.arguments }}
        {%- else %}
            {%- for name, value in call.function.arguments | items %}{{- name + ': ' + value | string }}{%- endfor %}
        {%- endif %}
        {{- '}</tool_call>' }}
    {%- endfor %}
    {{- '<|end|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}
"""

#: Tools and calls are ignored.
PLAIN = tiny_engine.CHAT


@dataclass(frozen=True)
class Family:
    """A chat template with control tokens, of which some are not declared special.

    Attributes:
        begin: the text that begins a call.
        parallel: whether an answer may have several calls.
        attributes: of the tokenizer.
        in_template: whether the notation is that of the template.
    """

    template: str
    begin: str
    special: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    parallel: bool = True
    attributes: dict = field(default_factory=dict)
    in_template: bool = True

    def tokenizer(self):
        made = tiny_engine.tokenizer()
        made.add_tokens([AddedToken(token, special=True, normalized=False) for token in self.special])
        made.add_tokens([AddedToken(token, special=False, normalized=False) for token in self.plain])
        made.chat_template = self.template
        for name, value in self.attributes.items():
            setattr(made, name, value)
        return made


_TAGS = ("<tool_call>", "</tool_call>")
_LLAMA_TOKENS = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>", "<|python_tag|>")
_MISTRAL_TOKENS = tuple(
    f"[{slash}{name}]" for name in ("INST", "AVAILABLE_TOOLS", "TOOL_RESULTS", "SYSTEM_PROMPT") for slash in ("", "/")
)
#: What a tokenizer of transformers may declare about answers.
_DECLARED = {
    "start_anchor": "<|assistant|>",
    "fields": {
        "content": {},
        "tool_calls": {
            "open": "<tool_call>",
            "close": "</tool_call>",
            "content": "json",
            "repeats": True,
            "transform": {
                "type": "function",
                "function": {"name": "{content.name}", "arguments": "{content.arguments}"},
            },
        },
    },
}

FAMILIES = {
    "hermes": Family(HERMES, "<tool_call>"),
    "qwen": Family(HERMES, "<tool_call>", plain=_TAGS),
    "qwen, special": Family(HERMES, "<tool_call>", special=_TAGS),
    "thinking": Family(THINKING, "<tool_call>", plain=(*_TAGS, "<think>", "</think>")),
    "llama 3": Family(
        LLAMA3, '{"name": "', special=_LLAMA_TOKENS, parallel=False, attributes={"eos_token": "<|eot_id|>"}
    ),
    "mistral": Family(MISTRAL, "[TOOL_CALLS]", special=("[TOOL_CALLS]", *_MISTRAL_TOKENS)),
    "mistral, args": Family(MISTRAL_ARGS, "[TOOL_CALLS]", special=("[TOOL_CALLS]", "[ARGS]", *_MISTRAL_TOKENS)),
    "mistral, call ids": Family(
        MISTRAL_CALL_IDS, "[TOOL_CALLS]", special=("[TOOL_CALLS]", "[CALL_ID]", "[ARGS]", *_MISTRAL_TOKENS)
    ),
    "nested": Family(NESTED, "<|calls|>", ("<|calls|>", "<|call|>", "<|sep|>", "<|call_end|>", "<|calls_end|>")),
    "tagged": Family(TAGGED, "<function="),
    "declared": Family(XML, "<tool_call>", plain=_TAGS, attributes={"response_template": _DECLARED}),
    "xml": Family(XML, "<tool_call>", plain=_TAGS, in_template=False),
    "own values": Family(OWN_VALUES, "<tool_call>", plain=_TAGS, in_template=False),
    "plain": Family(PLAIN, "<tool_call>", in_template=False),
}
