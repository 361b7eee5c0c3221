"""What an integration needs, checked when it is imported."""

from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

__all__ = ["check_installed"]


def check_installed(extra: str) -> None:
    """Check the packages of an extra of `sharedllm`: that they are there, in versions that work.

    Raises:
        ImportError: one is not; the message says what to install.
    """
    try:
        lines = requires("sharedllm") or []
    except PackageNotFoundError:  # run from a source tree: nothing says what is needed
        return
    for line in lines:
        needed = Requirement(line)
        if needed.marker is None or not needed.marker.evaluate({"extra": extra}) or needed.name == "sharedllm":
            continue
        remedy = f"pip install 'sharedllm[{extra}]'"
        try:
            found = version(needed.name)
        except PackageNotFoundError:
            raise ImportError(f"this needs {needed.name}, which is not installed: {remedy}") from None
        if not needed.specifier.contains(found, prereleases=True):
            raise ImportError(f"this needs {needed.name}{needed.specifier}, and {found} is installed: {remedy}")
