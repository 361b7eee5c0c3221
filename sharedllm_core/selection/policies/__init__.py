"""Selection policies, one file each; `SharedLLMConfig(policy=…)` accepts the file names.

Each file defines a class `Policy`. Adding a file adds a policy.
"""
