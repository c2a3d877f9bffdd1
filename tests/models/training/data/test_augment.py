import numpy as np
import torch

from models.training.data.augment import Augmentation, augment

POSITIONS = np.arange(64)
NOTHING = Augmentation(scale=1.0, aspect=1.0, colour=0.0, erase=0.0)


def some_photos(count: int = len(POSITIONS), side: int = 20) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def changed(
    photos: torch.Tensor,
    positions: np.ndarray[tuple[int], np.dtype[np.int64]] = POSITIONS,
    *,
    size: int = 20,
    seed: int = 1,
    epoch: int = 0,
    augmentation: Augmentation | None = None,
) -> torch.Tensor:
    return augment(
        photos,
        positions,
        size=size,
        seed=seed,
        epoch=epoch,
        augmentation=augmentation or Augmentation(),
    )


def test_a_photo_changes_alike_in_every_batch() -> None:
    photos = some_photos()
    chosen = np.array([40, 3, 17])
    torch.testing.assert_close(changed(photos)[chosen], changed(photos[chosen], chosen))


def test_a_photo_changes_otherwise_in_every_epoch_and_with_every_seed() -> None:
    photos = some_photos()
    assert not torch.equal(changed(photos), changed(photos, epoch=1))
    assert not torch.equal(changed(photos), changed(photos, seed=2))


def test_values_stay_in_range_and_photos_get_the_size_wanted() -> None:
    photos = changed(some_photos(), size=14, augmentation=Augmentation(colour=0.9))
    assert photos.shape == (len(POSITIONS), 3, 14, 14)
    assert photos.min() >= 0
    assert photos.max() <= 1


def test_without_anything_else_photos_are_as_they_are_or_mirrored() -> None:
    photos = some_photos()
    mirrored = 0
    for before, after in zip(photos, changed(photos, augmentation=NOTHING), strict=True):
        is_mirrored = torch.allclose(after, before.flip(2), atol=1e-5)
        assert is_mirrored or torch.allclose(after, before, atol=1e-5)
        mirrored += is_mirrored
    assert 0.3 < mirrored / len(photos) < 0.7


def test_a_part_of_the_photo_is_seen() -> None:
    # Brighter to the right: how far what is seen reaches shows in its brightness.
    ramp = torch.linspace(0, 1, 40).expand(len(POSITIONS), 3, 40, 40).contiguous()
    seen = changed(ramp, augmentation=Augmentation(scale=0.25, aspect=1, colour=0, erase=0))
    reach = seen.amax(dim=(1, 2, 3)) - seen.amin(dim=(1, 2, 3))
    assert 0.45 < reach.min() < 0.6
    assert 0.9 < reach.max() <= 1
    assert seen.amin(dim=(1, 2, 3)).max() > 0.3


def test_colours_change_but_not_places() -> None:
    photos = torch.full((len(POSITIONS), 3, 8, 8), 0.5)
    recoloured = changed(photos, size=8, augmentation=Augmentation(1, 1, colour=0.3, erase=0))
    assert recoloured.std(dim=(2, 3)).max() < 1e-6
    assert recoloured[:, :, 0, 0].std(dim=0).min() > 0.05


def test_a_share_of_the_photos_loses_a_square() -> None:
    white = torch.ones(len(POSITIONS), 3, 20, 20)
    seen = changed(white, augmentation=Augmentation(1, 1, 0, erase=0.5, erased=0.2))
    hidden = (seen[:, 0] < 1).float().mean(dim=(1, 2))
    assert 0.25 < (hidden > 0).float().mean() < 0.75
    assert hidden.max() <= 0.25
