"""Option groups: fields of dataclasses become options of a command."""

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from sharedllm_core.cli.option_groups import takes_option_groups


@dataclass(frozen=True)
class Size:
    width: Annotated[int, typer.Option(help="In metres.")] = 1
    height: Annotated[int, typer.Option("--height", "-h")] = 2


@dataclass(frozen=True)
class Colour:
    name: Annotated[str, typer.Option(envvar="GROUPS_COLOUR")] = "red"


def command_with(received, **settings):
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    @takes_option_groups(**settings)
    def paint(
        thing: str,
        *,
        size: Size = Size(height=9),
        once: bool = False,
        colour: Colour,
    ) -> None:
        """Paint a thing."""
        received.append((thing, size, once, colour))

    return lambda *arguments, **env: CliRunner().invoke(app, arguments, env={"COLUMNS": "80", **env})


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["wall"], ("wall", Size(1, 9), False, Colour("red"))),
        (["wall", "--width", "4", "-h", "5", "--name", "blue", "--once"], ("wall", Size(4, 5), True, Colour("blue"))),
    ],
    ids=str,
)
def test_a_command_gets_its_groups_filled(arguments, expected):
    received = []
    assert command_with(received)(*arguments).exit_code == 0
    assert received == [expected]


def test_environment_variables_of_fields_count():
    received = []
    command_with(received)("wall", GROUPS_COLOUR="green")
    assert received[0][-1] == Colour("green")


def test_help_lists_the_fields_in_place_of_their_group():
    shown = command_with([])("--help").stdout
    options = [line.split("--")[1].split()[0] for line in shown.splitlines() if "--" in line]
    assert options[:3] == ["width", "height", "once"]
    assert "Paint a thing." in shown
    assert "In metres.  [default: 1]" in shown
    assert "size" not in shown


def test_an_omitted_field_is_no_option_and_keeps_its_default_value():
    received = []
    command = command_with(received, omit=["height"])
    assert command("wall", "--height", "3").exit_code == 2
    assert command("wall", "--width", "3").exit_code == 0
    assert received[0][1] == Size(3, 9)
