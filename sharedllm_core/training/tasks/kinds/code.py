"""Facts that are mostly lines of source code."""

from .. import pools
from ._kind import FactKind

__all__ = ["KINDS"]

_CONSTANT = FactKind(
    name="constant",
    key=pools.CONSTANT,
    value=pools.CONSTANT_VALUE,
    facts=(
        "{key} = {value}",
        "pub const {key}: u32 = {value};",
        "{key2} = {value2}\n{key} = {value}\n{key3} = {value3}",
        "#define {key} {value}",
        "The constant `{key}` is {value}.",
        "`{key}` was raised to {value} in the last release.",
        "export const {key} = {value};",
        "{key}: Final[int] = {value}",
        "Do not go beyond {value}, the value of `{key}`.",
        "class Limits:\n    {key} = {value}\n    {key2} = {value2}",
    ),
    questions=(
        "What is the value of {key}?",
        "To what is the constant `{key}` set?",
        "Which number does {key} stand for?",
        "How large is {key} in the source code?",
        "Give the value of the constant {key}.",
        "How is `{key}` defined? Give its value.",
        "Which value does the code assign to {key}?",
        "What number is {key}?",
        "Look up the constant {key}.",
        "What does the source code set {key} to?",
    ),
    phrases=(
        "the value of {key}",
        "the value of the constant {key}",
        "the number for which {key} stands",
        "the value that the code assigns to {key}",
    ),
)

_RETURN = FactKind(
    name="return_value",
    key=pools.FUNCTION,
    value=pools.LITERAL,
    facts=(
        'def {key}() -> str:\n    return "{value}"',
        'fn {key}() -> &\'static str {{\n    "{value}"\n}}',
        'def {key2}():\n    return "{value2}"\n\n\ndef {key}():\n    return "{value}"',
        'assert {key}() == "{value}"',
        '`{key}()` returns `"{value}"`.',
        'A call of {key}() yields "{value}".',
        'function {key}() {{\n  return "{value}";\n}}',
        'What comes back from `{key}()` is always `"{value}"`.',
        'When asked, {key}() answers with the string "{value}".',
        'const char *{key}(void) {{ return "{value}"; }}',
    ),
    questions=(
        "What does {key}() return?",
        "Which string does the function {key} return?",
        "What is the return value of `{key}()`?",
        "What comes back from a call of {key}()?",
        "Give the string that {key}() returns.",
        "With which string does {key}() answer?",
        "According to the code, what does `{key}` yield?",
        "To what does the expression {key}() evaluate?",
        "Look up the return value of the function {key}.",
        "Which text is returned by {key}()?",
    ),
    phrases=(
        "the return value of {key}()",
        "the string that {key}() returns",
        "the string returned by the function {key}",
        "what a call of {key}() yields",
    ),
    via=(
        "What string is returned by {via}?",
        "What is the return value of {via}?",
        "Which string does one get from {via}?",
        "Give the return value of {via}.",
    ),
)

_REPLACED = FactKind(
    name="replacement",
    key=pools.FUNCTION,
    value=pools.FUNCTION,
    facts=(
        "`{key}` is deprecated; use `{value}` instead.",
        "{key} = deprecated(since=4, use={value})",
        "The function `{key}` was replaced by `{value}`.",
        "Calls of {key} should be changed to {value}.",
        "def {key}(*args):\n    warn_deprecated()\n    return {value}(*args)",
        "In new code, write `{value}` where you used to write `{key}`.",
        "`{value}` takes the place of `{key}`.",
        "#[deprecated]\npub use {value} as {key};",
        "- `{key}` has been removed in favour of `{value}`",
        "Since {key} is gone, everybody calls {value}.",
    ),
    questions=(
        "Which function replaces {key}?",
        "What should be used instead of {key}?",
        "By which function was `{key}` replaced?",
        "{key} is deprecated. What is its successor?",
        "Which function takes the place of {key}?",
        "To what should calls of {key} be changed?",
        "Name the replacement for the function {key}.",
        "In favour of which function was {key} given up?",
        "What does one call now in place of `{key}`?",
        "Look up the replacement of {key}.",
    ),
    phrases=(
        "the function that replaces {key}",
        "the replacement for {key}",
        "the successor of the function {key}",
        "the function that should be used instead of {key}",
    ),
    via=(
        "Which function replaces {via}?",
        "What should be used instead of {via}?",
        "Name the successor of {via}.",
        "What is the replacement for {via}?",
    ),
)

_ERROR_CODE = FactKind(
    name="error_code",
    key=pools.EXCEPTION,
    value=pools.ERROR_CODE,
    facts=(
        'class {key}(Exception):\n    code = "{value}"',
        "`{key}` is reported as {value}.",
        'ERRORS = {{\n    {key2}: "{value2}",\n    {key}: "{value}",\n}}',
        "Users see {value} whenever `{key}` is raised.",
        "The error code of {key} is {value}.",
        "{value} means that the program has raised {key}.",
        '#[error("{value}")]\nstruct {key};',
        "In the log, {key} appears as {value}.",
        "| Exception | Code |\n|---|---|\n| {key} | {value} |\n| {key2} | {value2} |",
        "Support asks for the code: {value} stands for {key}.",
    ),
    questions=(
        "What is the error code of {key}?",
        "Which code is reported for {key}?",
        "As what does {key} appear in the log?",
        "Which code do users see when {key} is raised?",
        "Give the error code of the exception {key}.",
        "Which error code stands for {key}?",
        "What code does the class {key} have?",
        "By which code does one recognise {key}?",
        "Look up the error code for {key}.",
        "Under which code is `{key}` reported?",
    ),
    phrases=(
        "the error code of {key}",
        "the code reported for {key}",
        "the error code that stands for {key}",
        "the code under which {key} appears in the log",
    ),
)

_COLUMN = FactKind(
    name="foreign_key",
    key=pools.TABLE_NAME,
    value=pools.COLUMN,
    facts=(
        "CREATE TABLE {key} (id INTEGER PRIMARY KEY, {value} INTEGER NOT NULL);",
        "ALTER TABLE {key} ADD COLUMN {value} INTEGER;",
        "The table `{key}` has a column `{value}` that refers to another table.",
        "SELECT count(*) FROM {key} JOIN other ON other.id = {key}.{value};",
        "CREATE INDEX ON {key} ({value});",
        "In `{key}`, the foreign key is the column `{value}`.",
        "Rows of {key} point to another table through {value}.",
        "The foreign key `{value}` belongs to `{key}`.",
        "A migration added {value} to {key} as a foreign key.",
        "| Table | Foreign key |\n|---|---|\n| {key2} | {value2} |\n| {key} | {value} |",
    ),
    questions=(
        "Which column of {key} refers to another table?",
        "What is the foreign key of the table {key}?",
        "Through which column do rows of {key} point to another table?",
        "Which foreign key belongs to the table {key}?",
        "Name the foreign key column of `{key}`.",
        "Which column ending in _id does the table {key} have?",
        "Give the foreign key in the table {key}.",
        "By which column is {key} joined to another table?",
        "Look up the foreign key of {key}.",
        "Which column of `{key}` is a foreign key?",
    ),
    phrases=(
        "the foreign key of the table {key}",
        "the column of {key} that refers to another table",
        "the foreign key column of {key}",
        "the column through which rows of {key} point to another table",
    ),
)

KINDS = (_CONSTANT, _RETURN, _REPLACED, _ERROR_CODE, _COLUMN)
