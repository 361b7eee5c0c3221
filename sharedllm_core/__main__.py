"""`python -m sharedllm_core` is `sharedllm`."""

from .cli.main import main

main()
