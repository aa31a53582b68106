"""R10, the long form: examples of 50 steps, in two processes."""

from __future__ import annotations

import os
import subprocess
import sys

PROCESSES = 2


def model(examples: int) -> str:
    """Run the machine with so many examples, each process with dice of its own."""
    each = -(-examples // PROCESSES)
    env = {**os.environ, "MODEL_EXAMPLES": str(each), "MODEL_STEPS": "50"}
    command = [sys.executable, "-m", "pytest", "-q", "tests/model/test_machine.py", "-k", "never_differ"]
    running = [subprocess.Popen(command, env=env) for _ in range(PROCESSES)]
    codes = [process.wait() for process in running]
    assert codes == [0] * PROCESSES, "API, model and database differ; the steps stand above"
    return f"{each * PROCESSES} examples of up to 50 steps: API, model, database and the replayed events agree"
