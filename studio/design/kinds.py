"""Which works a tool can take: by media type."""

PICTURES = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/avif", "image/bmp")
ON_SHEETS = (
    *PICTURES,
    "image/svg+xml",
    "application/json",
    "text/plain",
    "text/markdown",
    "model/gltf-binary",
    "audio/wav",
    "audio/flac",
    "audio/mpeg",
    "audio/ogg",
    "audio/midi",
)


def usable(media_type: str, wanted: str) -> bool:
    """`wanted`: "picture" or "any"."""
    return media_type in (PICTURES if wanted == "picture" else ON_SHEETS)
