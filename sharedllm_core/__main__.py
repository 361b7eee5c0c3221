"""The start of the command line: `sharedllm`, and `python -m sharedllm_core`."""

from .cli.interrupts import loading_libraries

__all__ = ["main"]


def main() -> None:
    """Run a command. Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted."""
    with loading_libraries():
        from .cli.main import main as run_command
    run_command()


if __name__ == "__main__":
    main()
