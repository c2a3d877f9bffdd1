"""`auto` is the best encoder whose weights are here, and says why it is not a better one."""

from dataclasses import replace
from pathlib import Path

import pytest

from models.domain.errors import WeightsMissing, WeightsRefused
from models.encoders import library as library_module
from models.encoders.library import AUTO, EncoderLibrary
from models.encoders.networks.architectures import (
    EFFICIENTNET_LITE,
    RESNET50,
    Architecture,
    DownloadedWeights,
)
from models.encoders.runtimes import open_encoder
from models.encoders.specs import network_spec
from tests.support.encoder import spec_of
from tests.support.networks import NETWORK, write_weights

LITE = network_spec(EFFICIENTNET_LITE, EFFICIENTNET_LITE.weights.sha256)


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> Architecture:
    """A ResNet-50 whose weights are on a server that does not answer."""
    assert isinstance(RESNET50.weights, DownloadedWeights)
    weights = replace(RESNET50.weights, url="http://127.0.0.1:9/resnet50.pth")
    resnet50 = replace(RESNET50, weights=weights)
    monkeypatch.setattr(library_module, "RESNET50", resnet50)
    monkeypatch.setitem(library_module.NETWORKS, "resnet50", resnet50)
    return resnet50


@pytest.mark.usefixtures("unreachable")
def test_without_weights_it_is_the_network_whose_weights_are_installed(tmp_path: Path) -> None:
    said: list[str] = []
    library = EncoderLibrary(AUTO, None, tmp_path)
    for _ in range(2):
        assert library.configured(on_fallback=said.append) == LITE
    # Once: another attempt would wait for the network again.
    (sentence,) = said
    assert sentence.startswith("efficientnet-lite2 is used, whose weights are installed.")
    assert "http://127.0.0.1:9/resnet50.pth" in sentence
    assert library.may_stay(LITE)
    # It was asked for once, and is asked for no more.
    assert not library.may_stay(spec_of("hog"))
    assert open_encoder(library, LITE, 1).spec == LITE


@pytest.mark.usefixtures("unreachable")
def test_a_network_that_is_named_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"can't be downloaded .*MARKETLENS_ENCODER at auto"):
        EncoderLibrary("resnet50", None, tmp_path).configured()
    with pytest.raises(WeightsMissing):
        EncoderLibrary(AUTO, None, tmp_path).find("resnet50")
    assert EncoderLibrary(AUTO, None, tmp_path).find("efficientnet-lite") == LITE


def test_a_damaged_download_is_not_passed_over(tmp_path: Path, unreachable: Architecture) -> None:
    assert isinstance(unreachable.weights, DownloadedWeights)
    (tmp_path / unreachable.weights.filename).write_bytes(b"half of it")
    with pytest.raises(WeightsRefused, match="damaged; remove that file"):
        EncoderLibrary(AUTO, None, tmp_path).configured()


@pytest.mark.usefixtures("unreachable")
def test_given_weights_are_of_the_network_that_they_fit(tmp_path: Path) -> None:
    given = write_weights(tmp_path / "given.safetensors")
    library = EncoderLibrary(AUTO, given, tmp_path / "models")
    spec = spec_of(NETWORK.name, given)
    assert library.configured() == spec
    assert set(library.specs()) > {spec, LITE}
    assert not library.may_stay(LITE)
    with pytest.raises(WeightsRefused, match=r"of efficientnet-lite0, and .* for resnet50"):
        EncoderLibrary("resnet50", given, tmp_path / "models").configured()
