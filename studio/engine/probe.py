"""Asks a child process what torch finds on this machine, so that torch stays out of the one that asks.

Chooses no build (`studio.install.torch_build` does); the worker looks for itself (`studio.engine.device`).
"""

import json
import subprocess
import sys
from typing import Any

TORCH_QUESTION = """
import json, torch
answer = {"version": torch.__version__, "cuda": torch.version.cuda, "hip": torch.version.hip, "device": "cpu",
          "name": "", "memory": 0, "threads": torch.get_num_threads()}
if torch.cuda.is_available():
    card = torch.cuda.get_device_properties(0)
    answer.update(device="cuda", name=card.name, memory=card.total_memory)
elif torch.backends.mps.is_available():
    answer.update(device="mps", name="Apple GPU", memory=torch.mps.recommended_max_memory())
print(json.dumps(answer))
"""


def probe_torch(python: str = sys.executable, timeout: float = 60.0) -> dict[str, Any]:
    """What torch says of itself and its device; {"error": why} when it does not load in time (seconds)."""
    try:
        done = subprocess.run([python, "-c", TORCH_QUESTION], capture_output=True, timeout=timeout, text=True)
    except subprocess.TimeoutExpired:
        return {"error": f"torch did not load within {timeout:.0f} s"}
    if done.returncode:
        return {"error": (done.stderr.strip() or f"Python ended with {done.returncode}").splitlines()[-1]}
    return json.loads(done.stdout.splitlines()[-1])
