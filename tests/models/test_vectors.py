import numpy as np

from models.vectors import STORED_DTYPE, as_stored, from_stored, half_to_float32, to_stored


def test_every_half_is_widened_exactly() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(STORED_DTYPE)
    finite = every[np.isfinite(every)].reshape(-1, 8)

    got = half_to_float32(finite)

    assert np.array_equal(got, finite.astype(np.float32))
    assert np.array_equal(np.signbit(got), np.signbit(finite))
    assert np.array_equal(half_to_float32(finite[::3, ::2]), finite[::3, ::2].astype(np.float32))


def test_what_was_stored_has_unit_length_and_keeping_it_again_changes_nothing() -> None:
    drawn = np.random.default_rng(0).normal(size=(200, 512)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)

    kept = as_stored(drawn)

    assert np.abs(np.linalg.norm(kept, axis=1) - 1).max() < 1e-6
    assert np.array_equal(as_stored(kept), kept)
    assert np.array_equal(from_stored(to_stored(kept)), kept)
