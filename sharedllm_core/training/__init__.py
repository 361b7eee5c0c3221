"""Training: the tasks that a model learns from, one sub-package for each part."""
