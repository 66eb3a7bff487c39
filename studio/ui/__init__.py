"""The page: the only place where gradio is imported."""
