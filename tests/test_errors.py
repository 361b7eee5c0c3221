"""An error carries what, limit and remedy as data, and names settings as they exist where it shows."""

import pickle

import pytest

from sharedllm_core import errors
from sharedllm_core.errors import PYTHON, CacheWarning, InputError, SharedLLMError, Wording, setting

COMMAND_LINE = Wording({"max_new_tokens": "--max-new-tokens", "skip": "--skip"}, "{name} {value}", "{name}")
KINDS = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SharedLLMError | CacheWarning)
]


def too_long(**more):
    return InputError(
        f"{setting('max_new_tokens', 300)} is too much",
        limit="and the window is 256",
        remedy=[f"lower {setting('max_new_tokens')}", f"pass {setting('allow_untrained', True)}", "give less text"],
        **more,
    )


def test_a_message_is_what_limit_and_remedy():
    assert str(too_long()) == (
        "max_new_tokens=300 is too much, and the window is 256; "
        "lower max_new_tokens, pass allow_untrained=True, or give less text"
    )


def test_a_message_names_settings_as_they_exist_where_it_shows():
    error = too_long()
    error.wording = COMMAND_LINE
    assert str(error) == (
        "--max-new-tokens 300 is too much, and the window is 256; lower --max-new-tokens, or give less text"
    )
    assert error.remedy == "lower --max-new-tokens, or give less text"


def test_a_setting_that_is_true_is_an_option_alone_on_the_command_line():
    text = f"pass {setting('skip', True)}"
    assert COMMAND_LINE.text(text) == "pass --skip"
    assert PYTHON.text(text) == "pass skip=True"


def test_a_setting_with_a_value_may_have_a_name_of_its_own():
    wording = Wording({"on_error='skip'": "--skip-unreadable", "max_bytes": "--max-bytes"}, "{name} {value}")
    assert wording.text(f"use {setting('on_error', 'skip')}") == "use --skip-unreadable"
    assert wording.has_all_of(setting("on_error", "skip"))
    assert not wording.has_all_of(setting("on_error", "raise"))
    assert not wording.has_all_of(setting("on_error"))
    assert wording.text(setting("max_bytes", 5)) == "--max-bytes 5"


def test_a_setting_may_be_none():
    assert str(InputError(f"{setting('seed', None)} is not allowed")) == "seed=None is not allowed"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_keeps_its_parts_through_pickling(kind):
    error = kind("what", limit="and the limit", remedy=["a", "b"])
    error.wording = COMMAND_LINE
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(copy) is kind
    assert (copy.what, copy.limit, copy.remedies, copy.wording) == ("what", "and the limit", ("a", "b"), COMMAND_LINE)
    assert str(copy) == "what, and the limit; a, or b"


def test_braces_and_percent_signs_of_users_are_kept_as_they_are():
    error = InputError(f"{setting('stop', '{x} %s')} is not allowed")
    assert str(error) == "stop='{x} %s' is not allowed"
