"""How much memory a picture takes beside the weights, from sizes alone. Light: shared by the worker and the page.

The numbers are counts of what is alive at once, taken from runs of the real classes without data: U-Nets of Stable
Diffusion 1.5 and XL hold 26 and 16 maps of their first level, a DiT 13 to 15 rows of its width a token (both streams),
AutoencoderKL 4 to 6 maps of its first level at full resolution. The margins are for what kernels take for themselves.
"""

UNET_MAPS = 40  # feature maps of the first level that a U-Net holds at its peak
TOKEN_ROWS = 20  # rows of the width that a transformer holds a token
DECODER_MAPS = 8  # feature maps of the first level, at the picture's size
TILE = 512  # pixels a side that a tiled decoder takes at once
WORDS = 512  # tokens of the prompt beside those of the picture
FRAMES_AT_ONCE = 4  # of a film, in its decoder at full resolution


def unet_bytes(channels: int, width: int, height: int, scale: int, itemsize: int) -> int:
    """One take with and without its words. `channels` of the first level, `scale` pixels a latent and side."""
    return 2 * UNET_MAPS * channels * width * height // scale**2 * itemsize


def transformer_bytes(hidden: int, width: int, height: int, scale: int, itemsize: int) -> int:
    """One take with and without its words; latents of 8 pixels are taken two by two a token, larger ones singly."""
    side = scale * 2 if scale <= 8 else scale
    return 2 * TOKEN_ROWS * hidden * (width * height // side**2 + WORDS) * itemsize


def decoder_bytes(channels: int, width: int, height: int, itemsize: int, *, tiled: bool = False) -> int:
    """One picture through the autoencoder's decoder, whole or in tiles; `channels` of its level of full resolution."""
    if tiled:
        width, height = min(width, TILE), min(height, TILE)
    return DECODER_MAPS * channels * width * height * itemsize


def film_transformer_bytes(hidden: int, width: int, height: int, latents: int, unit: int, itemsize: int) -> int:
    """One film with and without its words: `latents` in time, a token for every `unit` pixels a side."""
    return 2 * TOKEN_ROWS * hidden * (width * height // unit**2 * latents + WORDS) * itemsize


def film_decoder_bytes(
    channels: int, width: int, height: int, frames: int, itemsize: int, *, tiled: bool = False
) -> int:
    """One film through its decoder. Autoencoders of films hold a few frames at full resolution at a time, or all of
    them at a quarter of it; what is decoded stays as numbers of 4 bytes.
    """
    at_once = decoder_bytes(channels, width, height, itemsize, tiled=tiled) * min(frames, FRAMES_AT_ONCE)
    return at_once + 3 * 4 * width * height * frames
