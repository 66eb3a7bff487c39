"""Put first on a worker's path, this makes a machine without torch: the worker starts in a tenth of the
time.
"""

import sys

sys.modules["torch"] = None  # type: ignore[assignment]
