"""Checks of settings: what is out of range is refused with the setting, its value and what is allowed."""

import pytest

from sharedllm_core.errors import ConfigError, InputError, Wording
from sharedllm_core.method.checks import check_number, check_one_of, check_that, check_whole


@pytest.mark.parametrize("value", [0, True, 1.0, "1", None])
def test_a_whole_number_is_an_int_in_its_range(value):
    check_whole("steps", 1, at_least=1)
    with pytest.raises(ConfigError) as error:
        check_whole("steps", value, at_least=1)
    assert str(error.value) == f"steps={value!r} is not a whole number of at least 1; give one"


def test_a_whole_number_may_have_a_most():
    check_whole("seed", 7, at_least=0, at_most=7)
    with pytest.raises(ConfigError, match=r"^seed=8 is not a whole number from 0 to 7; give one$"):
        check_whole("seed", 8, at_least=0, at_most=7)


@pytest.mark.parametrize(
    ("bounds", "right", "wrong", "limit"),
    [
        ({"at_least": 1}, 1, 0.5, "of at least 1"),
        ({"above": 0}, 0.1, 0, "above 0"),
        ({"at_least": 0, "at_most": 1}, 1, 1.5, "of at least 0 and at most 1"),
        ({"above": 0, "below": 1}, 0.5, 1, "above 0 and below 1"),
        ({"above": 0}, 0.1, float("inf"), "above 0"),
        ({"above": 0}, 0.1, float("nan"), "above 0"),
        ({"above": 0}, 0.1, "0.5", "above 0"),
        ({"above": 0}, 0.1, True, "above 0"),
    ],
)
def test_a_number_is_finite_and_within_its_bounds(bounds, right, wrong, limit):
    check_number("share", right, **bounds)
    with pytest.raises(ConfigError) as error:
        check_number("share", wrong, **bounds)
    assert str(error.value) == f"share={wrong!r} is not a finite number {limit}; give one"


def test_checks_raise_the_kind_of_error_that_the_caller_names():
    with pytest.raises(InputError, match=r"^tool=3 is not known; use one of 1, 2$"):
        check_one_of("tool", 3, (1, 2), error=InputError)
    with pytest.raises(InputError, match=r"^stop='' is not allowed; it must be a string that is not empty$"):
        check_that(False, "stop", "", "a string that is not empty", error=InputError)


def test_checks_name_the_setting_as_it_exists_where_the_error_shows():
    with pytest.raises(ConfigError) as error:
        check_whole("max_new_tokens", 0, at_least=1)
    error.value.wording = Wording({"max_new_tokens": "--max-new-tokens"}, "{name} {value}")
    assert str(error.value) == "--max-new-tokens 0 is not a whole number of at least 1; give one"
