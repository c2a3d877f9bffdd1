import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.photos import photo_lookup
from etl.photos.photo_files import PhotoFile, Refused
from etl.photos.photo_lookup import PHOTO_SUFFIXES, PhotoLookup, existing_folder

ID = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"


@pytest.fixture(params=["listed", "large"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A photo folder, whose names are kept in memory or are too many for that."""
    if request.param == "large":
        monkeypatch.setattr(photo_lookup, "MAX_LISTED", 0)
    images = tmp_path / "images"
    images.mkdir()
    (images / "other.jpg").write_bytes(b"other")
    return images


def found_in(folder: Path, name: str) -> str:
    """The name of the file that is found, or the reason why none is."""
    found = PhotoLookup(100).find(folder / name)
    return Path(found.path).name if isinstance(found, PhotoFile) else found.reason


@pytest.mark.parametrize(
    "real",
    [
        f"{ID}.jpg", f"{ID}.JPG", f"{ID}.jpeg", f"{ID}.JPEG", f"{ID}.png", f"{ID}.PNG",
        f"{ID}.webp", f"{ID}.heic", f"{ID}.HEIC", f"{ID}.avif", f"{ID}.gif", f"{ID.upper()}.jpg",
        f"{ID.upper()}.JPG", f"{ID.upper()}.PNG",
    ],
)  # fmt: skip
def test_a_photo_is_found_in_any_case_and_with_any_suffix(folder: Path, real: str) -> None:
    (folder / real).write_bytes(b"photo")
    assert found_in(folder, f"{ID}.jpg") == real


def test_the_exact_name_wins(folder: Path) -> None:
    for name in (f"{ID}.jpg", f"{ID}.JPG", f"{ID}.png"):
        (folder / name).write_bytes(b"photo")
    assert found_in(folder, f"{ID}.jpg") == f"{ID}.jpg"


def test_several_that_match_are_named(tmp_path: Path) -> None:
    for name in (f"{ID}.png", f"{ID}.JPG"):
        (tmp_path / name).write_bytes(b"photo")
    reason = f"There are several such photo files (files {ID}.JPG, {ID}.png)."
    assert found_in(tmp_path, f"{ID}.jpg") == reason


def test_a_photo_that_is_not_there_is_named(folder: Path) -> None:
    reason = f"There is no such photo file (file images/{ID}.jpg)."
    assert found_in(folder, f"{ID}.jpg") == reason
    assert found_in(folder.parent / "nowhere" / "images", f"{ID}.jpg") == reason


def test_only_the_name_of_an_id_is_found_with_another_suffix(folder: Path) -> None:
    (folder / "shoe.png").write_bytes(b"photo")
    assert "no such photo file" in found_in(folder, "shoe.jpg")
    assert found_in(folder, "SHOE.PNG") == "shoe.png"


def test_the_limits_hold_for_what_is_found(folder: Path) -> None:
    (folder / f"{ID}.JPG").write_bytes(bytes(101))
    assert "more than 100 bytes" in found_in(folder, f"{ID}.jpg")
    (folder / f"{ID}.JPG").unlink()
    (folder / f"{ID}.PNG").mkdir()
    assert "no such photo file" in found_in(folder, f"{ID}.jpg")


@pytest.mark.parametrize("name", ["Images", "IMAGES", "images"])
def test_a_folder_is_found_in_any_case(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / f"{ID}.JPG").write_bytes(b"photo")
    assert found_in(tmp_path / "images", f"{ID}.jpg") == f"{ID}.JPG"
    assert existing_folder(tmp_path / "images") == tmp_path / name


def test_a_folder_that_may_be_one_of_two_is_none(tmp_path: Path) -> None:
    for name in ("Images", "IMAGES"):
        (tmp_path / name).mkdir()
    assert existing_folder(tmp_path / "images") == tmp_path / "images"
    (tmp_path / "images").write_bytes(b"a file")
    assert not existing_folder(tmp_path / "images").is_dir()


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(
    st.text(st.characters(categories=["L", "N"], max_codepoint=0x2FF), min_size=1, max_size=20),
    st.sampled_from(["NFC", "NFD"]),
    st.sampled_from([str.upper, str.lower, str.title, str.swapcase]),
)
def test_any_name_is_found_in_another_case_and_form(
    tmp_path_factory: pytest.TempPathFactory,
    stem: str,
    form: Literal["NFC", "NFD"],
    change: Callable[[str], str],
) -> None:
    folder = tmp_path_factory.mktemp("photos")
    real = unicodedata.normalize(form, change(stem)) + ".JPG"
    (folder / real).write_bytes(b"photo")
    same = [unicodedata.normalize("NFC", text).casefold() for text in (stem, change(stem))]
    if same[0] == same[1]:
        assert found_in(folder, f"{stem}.jpg") == real


def test_nothing_is_listed_while_all_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{ID}.jpg").write_bytes(b"photo")

    def fail(_: str) -> None:
        raise AssertionError("listed")

    monkeypatch.setattr(photo_lookup, "_names", fail)
    lookup = PhotoLookup(100)
    assert all(isinstance(lookup.find(tmp_path / f"{ID}.jpg"), PhotoFile) for _ in range(3))
    assert isinstance(lookup.find(tmp_path / "nowhere" / "x.jpg"), Refused)


def test_the_suffixes_are_those_of_photos() -> None:
    assert {".jpg", ".jpeg", ".png", ".webp", ".heic", ".avif", ".gif"} <= set(PHOTO_SUFFIXES)
