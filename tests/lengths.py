"""How often the suite repeats what chance decides: usually as often as shows a fault, at full length with
ATELIER_TESTS=all.
"""

import os

ALL = os.environ.get("ATELIER_TESTS") == "all"


def times(full: int, usual: int) -> int:
    return full if ALL else usual
