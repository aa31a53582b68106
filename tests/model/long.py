"""R10, the long form: examples of 50 steps."""

from __future__ import annotations

import os
import subprocess
import sys


def model(examples: int) -> str:
    """Run the machine with so many examples."""
    env = {**os.environ, "MODEL_EXAMPLES": str(examples), "MODEL_STEPS": "50"}
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "tests/model/test_machine.py"], env=env, check=False)
    assert done.returncode == 0, "API, model and database differ; the steps stand above"
    return f"{examples} examples of up to 50 steps: API, model, database and the replayed events agree"
