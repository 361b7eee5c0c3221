"""Train several configurations one after another in the processes of one launch, whose start takes longer than a run.

`accelerate launch ... -m tests.training.several_runs a.yaml b.yaml`
"""

import os
import sys

from sharedllm_core.training.config import TrainingConfig
from sharedllm_core.training.run import leave_processes, train

if __name__ == "__main__":
    # From the second run on the processes are connected before the model is loaded, and transformers would then load
    # weights in the first process alone.
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"
    for file in sys.argv[1:]:
        train(TrainingConfig.from_file(file))
    leave_processes()
