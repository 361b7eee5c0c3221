"""An integration's requirements, checked when it is imported."""

from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

__all__ = ["check_installed"]


def check_installed(extra: str) -> None:
    """Check that the packages of an extra of `sharedllm` are installed in supported versions.

    Raises:
        ImportError: one is not; the message has the install command.
    """
    try:
        lines = requires("sharedllm") or []
    except PackageNotFoundError:  # run from a source tree, which has no metadata
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
