"""The designer's tools that need no model: colour, patterns, vectors, meshes, films, print. Light: no torch here."""
