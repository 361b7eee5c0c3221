"""What the tests of training runs share."""

import pytest

from .runs import make_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A base with its tokenizer, and data of both kinds."""
    return make_folder(tmp_path_factory.mktemp("training"))
