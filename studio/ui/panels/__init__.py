"""The tabs, in order. A panel is a module here with TITLE, ICON (path of a 24 px stroke icon), build(studio, demo)."""

PANELS = ("image", "text", "music", "design", "train", "models", "library")
