"""`python tests/benchmarks/bench_image.py [--quick] [FOLDER]`: the picture benchmark as a table and a JSON
line.
"""

import json
import sys
from pathlib import Path

from studio.bench.image import run
from studio.settings import Settings

if __name__ == "__main__":
    folders = [Path(word) for word in sys.argv[1:] if not word.startswith("--")]
    figures = run(Settings.load(), quick="--quick" in sys.argv, starter=folders[0] if folders else None)
    print("\n".join(figures["table"]))
    print(json.dumps(figures))
