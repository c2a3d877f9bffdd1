import numpy as np

from models.index.vectors import AT_REST, as_kept, from_rest, widened


def test_every_half_is_widened_exactly() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(AT_REST)
    finite = every[np.isfinite(every)].reshape(-1, 8)

    got = widened(finite)

    assert np.array_equal(got, finite.astype(np.float32))
    assert np.array_equal(np.signbit(got), np.signbit(finite))
    assert np.array_equal(widened(finite[::3, ::2]), finite[::3, ::2].astype(np.float32))


def test_what_was_kept_has_unit_length_and_keeping_it_again_changes_nothing() -> None:
    drawn = np.random.default_rng(0).normal(size=(200, 512)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)

    kept = as_kept(drawn)

    assert np.abs(np.linalg.norm(kept, axis=1) - 1).max() < 1e-6
    assert np.array_equal(as_kept(kept), kept)
    assert np.array_equal(from_rest(kept.astype(AT_REST)), kept)
