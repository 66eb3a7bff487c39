"""Models from the Hugging Face Hub and from other programs' folders: found, checked, downloaded, imported, removed.

Light: runs in the page's process, no torch. The download itself is a process of its own (`fetch.py`).
"""
