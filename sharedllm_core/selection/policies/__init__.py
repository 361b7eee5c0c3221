"""Selection policies, one file each, named like the policy; `SharedLLMConfig(policy=…)` accepts the file names.

A file holds a class `Policy`. Adding a file adds a policy.
"""
