"""The processes that a program under test has started."""

import psutil


def workers(parent: int | None = None) -> list[psutil.Process]:
    """The living workers of a studio that runs in the process `parent` (this one by default)."""
    found = []
    for child in psutil.Process(parent).children():
        try:
            if "studio.engine.worker" in " ".join(child.cmdline()):
                found.append(child)
        except (psutil.ZombieProcess, psutil.NoSuchProcess):  # has just ended, and nobody has asked for it yet
            continue
    return found
