"""Option groups: a command takes several options as one parameter, a frozen dataclass.

Typer makes an option of each parameter of a function, so commands that share options would repeat long parameter lists.
Here a group declares its options once, and each command names the group:

    @dataclass(frozen=True)
    class CacheOptions:
        cache_dir: Annotated[Path | None, typer.Option(help="…")] = None
        int8: Annotated[bool, typer.Option("--int8", help="…")] = False

    @takes_option_groups()
    def read(docs: DocsArgument, *, cache: CacheOptions) -> None: ...
"""

import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import wraps
from typing import Any, Self, get_type_hints

__all__ = ["takes_option_groups"]

_Function = Callable[..., None]


def takes_option_groups(*, omit: Collection[str] = ()) -> Callable[[_Function], _Function]:
    """Make the fields of a command's option groups options of the command.

    A parameter whose type is a dataclass is a group. The decorated function has the signature that typer reads, with
    the fields in place of the group, in their order. It is called with the values of the options, builds the groups
    from them, and calls the command. The default values are those of the fields, or of the parameter's default where
    it has one.

    Args:
        omit: fields that are not options of this command; they keep their default values.
    """

    def decorate(command: _Function) -> _Function:
        groups: dict[str, _Group] = {}
        options: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            if is_dataclass(parameter.annotation):
                group = _Group.from_parameter(parameter, omit)
                groups[parameter.name] = group
                options += group.options
            else:
                options.append(parameter)

        @wraps(command)
        def run(**values: Any) -> None:
            filled = {name: group.fill(values) for name, group in groups.items()}
            command(**values, **filled)

        # Keyword-only, so that an option without a default value may follow one that has it.
        signature = inspect.Signature([option.replace(kind=option.KEYWORD_ONLY) for option in options])
        run.__signature__ = signature  # type: ignore[attr-defined]
        run.__annotations__ = {option.name: option.annotation for option in options}
        return run

    return decorate


@dataclass(frozen=True)
class _Group:
    """A group as a parameter of one command.

    Attributes:
        defaults: an instance of the group with the default values.
        options: the fields that are options of the command, as parameters.
    """

    defaults: Any
    options: list[inspect.Parameter]

    @classmethod
    def from_parameter(cls, parameter: inspect.Parameter, omit: Collection[str]) -> Self:
        defaults = parameter.annotation() if parameter.default is parameter.empty else parameter.default
        types = get_type_hints(type(defaults), include_extras=True)
        return cls(
            defaults,
            [
                inspect.Parameter(
                    field.name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=getattr(defaults, field.name),
                    annotation=types[field.name],
                )
                for field in fields(defaults)
                if field.name not in omit
            ],
        )

    def fill(self, values: dict[str, Any]) -> Any:
        """The group with its options' values, which are removed from `values`."""
        return replace(self.defaults, **{option.name: values.pop(option.name) for option in self.options})
