"""Sound to the codes of a MusicGen and back by its EnCodec; left and right of a stereo model side by side."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from studio.music.levels import Samples


@torch.inference_mode()
def encoded(codec: Any, samples: Samples, books: int) -> Tensor:
    """(channels, samples) at the codec's rate -> codes (books, frames)"""
    bandwidth = codec.config.target_bandwidths[-1]
    sides = []
    for side in samples:
        wave = torch.from_numpy(np.ascontiguousarray(side)).to(codec.device, codec.dtype)[None, None]
        sides.append(codec.encode(wave, bandwidth=bandwidth).audio_codes[0, 0, : books // len(samples)])
    return torch.stack(sides, 1).flatten(0, 1)


@torch.inference_mode()
def decoded(codec: Any, codes: Tensor, channels: int) -> Samples:
    """codes (takes, books, frames) -> (takes, channels, samples)"""
    sides = [codes[:, side::channels] for side in range(channels)]
    scales = [None] * len(codes)
    made = [codec.decode(side[None], audio_scales=scales).audio_values for side in sides]
    return torch.cat(made, 1).float().cpu().numpy()
