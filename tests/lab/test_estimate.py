"""Time and memory before a training begins."""

from studio.lab.estimate import seconds_a_picture, training_estimate


def test_an_earlier_run_is_scaled_by_what_is_seen() -> None:
    pace = seconds_a_picture(seconds=80.0, steps=100, batch=2, resolution=512)
    same = training_estimate(size=10**9, steps=100, batch=2, resolution=512, pace=pace)
    assert same.measured and same.low < 80 * 1.25 < same.high < 1.3 * same.low
    smaller = training_estimate(size=10**9, steps=100, batch=2, resolution=256, pace=pace)
    assert abs(smaller.high * 4 - same.high) < 1e-6


def test_without_one_the_range_is_wide_and_follows_size_and_device() -> None:
    small = training_estimate(size=50 * 2**20, steps=160, batch=4, resolution=256)
    large = training_estimate(size=2 * 2**30, steps=160, batch=4, resolution=256)
    card = training_estimate(size=2 * 2**30, steps=160, batch=4, resolution=256, device="cuda")
    assert not small.measured and small.high > 4 * small.low
    assert small.high < large.low and card.high < large.low
    assert small.memory < large.memory
