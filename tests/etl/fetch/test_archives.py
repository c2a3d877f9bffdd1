import bz2
import gzip
import io
import lzma
import stat
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest

from etl.fetch import archives, transfer
from etl.fetch.archives import Limits, contents, members
from etl.fetch.transfer import fetch
from models.domain.errors import InvalidFeed
from tests.support.archives import pack_tar, pack_zip
from tests.support.fetching import copy, feed_of, files_in, noise, sums_hold, write_files

FEED = feed_of(photos=5)

Pack = Callable[[Path, Mapping[str, bytes]], Path]


ARCHIVES = [
    ("f.zip", pack_zip),
    ("f.tar", pack_tar),
    ("f.tar.gz", pack_tar),
    ("f.TGZ", pack_tar),
    ("f.tar.bz2", pack_tar),
    ("f.txz", pack_tar),
]

any_archive = pytest.mark.parametrize(
    ("name", "pack"), ARCHIVES, ids=[name for name, _ in ARCHIVES]
)


@any_archive
@pytest.mark.parametrize("top", ["", "./", "feed/", "./feed/"])
def test_an_archive_is_unpacked_with_or_without_a_top_folder(
    name: str, pack: Pack, top: str, tmp_path: Path
) -> None:
    archive = pack(tmp_path / name, {top + file: data for file, data in FEED.items()})

    fetched = copy(archive, tmp_path / "feed")

    assert files_in(tmp_path / "feed") == FEED
    assert (fetched.found, fetched.fetched, fetched.unchanged) == (7, 7, 0)
    assert fetched.bytes == archive.stat().st_size
    assert sums_hold(tmp_path / "feed")


@any_archive
def test_an_archive_is_unpacked_once(name: str, pack: Pack, tmp_path: Path) -> None:
    archive = pack(tmp_path / name, FEED)
    copy(archive, tmp_path / "feed")

    again = copy(archive, tmp_path / "feed")
    assert (again.found, again.fetched, again.unchanged, again.bytes) == (7, 0, 7, 0)

    (tmp_path / "feed/images/0003.jpg").unlink()
    assert copy(archive, tmp_path / "feed").fetched == 1
    assert files_in(tmp_path / "feed") == FEED

    pack(archive, FEED | {"images/0003.jpg": b"another"})
    copy(archive, tmp_path / "feed")
    assert (tmp_path / "feed/images/0003.jpg").read_bytes() == b"another"


def test_folders_of_an_archive_are_no_files(tmp_path: Path) -> None:
    write_files(tmp_path / "source", FEED)
    with tarfile.open(tmp_path / "f.tar", "w") as archive:
        archive.add(tmp_path / "source", "source")
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as zipped:
        zipped.mkdir("images")
        for name, data in FEED.items():
            zipped.writestr(name, data)

    for name in ("f.tar", "f.zip"):
        copy(tmp_path / name, tmp_path / name.replace(".", ""))
        assert files_in(tmp_path / name.replace(".", "")) == FEED


@any_archive
def test_sums_inside_an_archive_are_verified(name: str, pack: Pack, tmp_path: Path) -> None:
    wrong = f"{'0' * 64}  images/0002.jpg\n".encode()
    archive = pack(tmp_path / name, FEED | {"SHA256SUMS": wrong})

    with pytest.raises(InvalidFeed, match=r"images/0002\.jpg .* damaged: its SHA-256"):
        copy(archive, tmp_path / "feed")

    assert not (tmp_path / "feed/images/0002.jpg").exists()


@any_archive
@pytest.mark.parametrize("bad", ["../x", "/x", "images/../../x", "C:\\x", "a\\..\\x", "x\n"])
def test_a_name_that_leads_out_is_refused_before_anything_is_unpacked(
    name: str, pack: Pack, bad: str, tmp_path: Path
) -> None:
    archive = pack(tmp_path / name, FEED | {bad: b"x"})

    with pytest.raises(InvalidFeed, match="unsafe name"):
        copy(archive, tmp_path / "in" / "feed")

    assert files_in(tmp_path / "in") == {}


@any_archive
def test_what_systems_leave_behind_and_what_is_beside_the_feed_is_passed_over(
    name: str, pack: Pack, tmp_path: Path
) -> None:
    beside = {"Icon\r": b"", "README.txt": b"x", "../x": b"x", "other/x\n.txt": b"x"}
    inside = {"feed/Icon\r": b"", "feed/images/Icon\r": b"", "feed/images/Thumbs.db": b"x"}
    feed = {f"feed/{file}": data for file, data in FEED.items()}
    archive = pack(tmp_path / name, beside | feed | inside | {"__MACOSX/feed/._x\r": b"x"})

    copy(archive, tmp_path / "feed")

    assert files_in(tmp_path / "feed") == FEED


@pytest.mark.parametrize("top", ["", "feed\\", ".\\"])
def test_the_separator_of_windows_is_one(top: str, tmp_path: Path) -> None:
    named = {top + file.replace("/", "\\"): data for file, data in FEED.items()}
    archive = pack_zip(tmp_path / "f.zip", named | {f"{top}images\\": b""})

    copy(archive, tmp_path / "feed")

    assert files_in(tmp_path / "feed") == FEED


@pytest.mark.parametrize(
    ("real", "called"),
    [("f.tar.gz", "f.zip"), ("f.tar.xz", "f.tar"), ("f.tar", "f.tgz"), ("f.tar.bz2", "f.txz"),
     ("f.tar.gz", "f"), ("f.tar", "f.bin"), ("f.tar.xz", "f.download")],
)  # fmt: skip
def test_what_an_archive_is_its_content_says(real: str, called: str, tmp_path: Path) -> None:
    archive = pack_tar(tmp_path / real, FEED)

    copy(archive.rename(tmp_path / called), tmp_path / "feed")

    assert files_in(tmp_path / "feed") == FEED


def test_a_zip_within_a_zip_is_told(tmp_path: Path) -> None:
    inner = pack_zip(tmp_path / "inner.zip", FEED).read_bytes()
    archive = pack_zip(tmp_path / "f.zip", {"inner.zip": inner, "readme.txt": b"x"})

    with pytest.raises(InvalidFeed, match=r"holds inner\.zip, readme\.txt, but no table"):
        copy(archive, tmp_path / "feed")


def test_a_zip_with_64_bit_fields_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as archive:
        for name, data in FEED.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(data)

    copy(tmp_path / "f.zip", tmp_path / "feed")

    assert files_in(tmp_path / "feed") == FEED


def test_a_link_beside_the_feed_is_passed_over(tmp_path: Path) -> None:
    link = tarfile.TarInfo("latest")
    link.type, link.linkname = tarfile.SYMTYPE, "feed"
    with tarfile.open(tmp_path / "f.tar", "w") as archive:
        archive.addfile(link)
        for name, data in FEED.items():
            member = tarfile.TarInfo(f"feed/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))

    copy(tmp_path / "f.tar", tmp_path / "feed")

    assert files_in(tmp_path / "feed") == FEED


def test_xz_may_not_take_any_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_XZ_MEMORY", 2**20)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 4 * 2**20}]
    tar = pack_tar(tmp_path / "f.tar", FEED).read_bytes()
    (tmp_path / "f.txz").write_bytes(lzma.compress(tar, filters=filters))

    with pytest.raises(InvalidFeed, match="damaged, or no zip or tar"):
        copy(tmp_path / "f.txz", tmp_path / "feed")


def test_xz_streams_one_after_the_other_are_one(tmp_path: Path) -> None:
    tar = pack_tar(tmp_path / "f.tar", FEED).read_bytes()
    half = len(tar) // 2
    packed = lzma.compress(tar[:half]) + lzma.compress(tar[half:])
    (tmp_path / "f.txz").write_bytes(packed)

    copy(tmp_path / "f.txz", tmp_path / "feed")

    assert files_in(tmp_path / "feed") == FEED


@pytest.mark.parametrize("compress", [lzma.compress, bz2.compress, gzip.compress])
def test_a_tar_that_expands_too_much_is_a_bomb(
    tmp_path: Path, compress: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "Limits", partial(Limits, slack=2**20, expansion=2))
    tar = pack_tar(tmp_path / "f.tar", FEED | {"zeros": bytes(8 * 2**20)}).read_bytes()
    (tmp_path / "f.tar").write_bytes(compress(tar))

    with pytest.raises(InvalidFeed, match="would unpack to more than"):
        copy(tmp_path / "f.tar", tmp_path / "feed")


def test_a_zip_name_behind_a_nul_is_refused(tmp_path: Path) -> None:
    archive = pack_zip(tmp_path / "f.zip", FEED | {"x.jpgN../y": b"x"})
    archive.write_bytes(archive.read_bytes().replace(b"x.jpgN../y", b"x.jpg\0../y"))

    with pytest.raises(InvalidFeed, match="unsafe name"):
        copy(archive, tmp_path / "feed")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]
)
def test_a_tar_may_hold_files_and_folders_only(kind: bytes, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "f.tar", "w") as archive:
        member = tarfile.TarInfo("images/x.jpg")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)

    with pytest.raises(InvalidFeed, match=r"images/x\.jpg', which is no regular file"):
        copy(tmp_path / "f.tar", tmp_path / "feed")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_a_zip_may_hold_files_and_folders_only(kind: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as archive:
        info = zipfile.ZipInfo("images/x.jpg")
        info.external_attr = (kind | 0o777) << 16
        archive.writestr(info, "/etc/passwd")

    with pytest.raises(InvalidFeed, match=r"images/x\.jpg', which is no regular file"):
        copy(tmp_path / "f.zip", tmp_path / "feed")


@any_archive
def test_an_archive_has_a_budget(name: str, pack: Pack, tmp_path: Path) -> None:
    archive = pack(tmp_path / name, FEED)
    unpacked = sum(map(len, FEED.values()))

    with pytest.raises(InvalidFeed, match="it would unpack to more than"):
        members(archive, "it", "1", Limits(bytes=unpacked - 1))
    assert members(archive, "it", "1", Limits(bytes=2**20))


def test_the_usual_limits_refuse_a_bomb(tmp_path: Path) -> None:
    archive = pack_zip(tmp_path / "f.zip", FEED | {"bomb": bytes(96 * 2**20)})

    with pytest.raises(InvalidFeed, match="would unpack to more than"):
        copy(archive, tmp_path / "feed")

    assert files_in(tmp_path / "feed") == {}


def test_a_tar_that_says_it_is_huge_is_a_bomb(tmp_path: Path) -> None:
    member = tarfile.TarInfo("Products.csv")
    member.size = 2**50
    (tmp_path / "f.tar").write_bytes(member.tobuf())

    with pytest.raises(InvalidFeed, match="would unpack to more than"):
        copy(tmp_path / "f.tar", tmp_path / "feed")


def test_zeros_without_end_behind_a_tar_are_a_bomb(tmp_path: Path) -> None:
    tar = pack_tar(tmp_path / "f.tar", FEED).read_bytes()
    (tmp_path / "f.tgz").write_bytes(gzip.compress(tar + bytes(8 * 2**20)))

    with pytest.raises(InvalidFeed, match="would unpack to more than"):
        members(tmp_path / "f.tgz", "it", "1", Limits(slack=2**20, expansion=2))


def test_headers_are_not_read_into_memory_at_any_length(tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 2**26
    with gzip.open(tmp_path / "f.tgz", "wb") as archive:
        archive.write(header.tobuf() + bytes(2**26))

    tracemalloc.start()
    try:
        with pytest.raises(InvalidFeed, match="damaged"):
            members(tmp_path / "f.tgz", "it", "1", Limits())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**25


def test_a_negative_size_does_not_lead_round_in_circles(tmp_path: Path) -> None:
    folder = tarfile.TarInfo("images")
    folder.type = tarfile.DIRTYPE
    back = bytearray(tarfile.TarInfo("x").tobuf())
    back[124:136] = (-1024 % 256**12).to_bytes(12)
    back[148:156] = b"%06o\0 " % (sum(back[:148]) + sum(back[156:]) + 8 * ord(" "))
    (tmp_path / "f.tar").write_bytes(folder.tobuf() * 2 + back)

    with pytest.raises(InvalidFeed, match="which is no regular file"):
        members(tmp_path / "f.tar", "it", "1", Limits())


@any_archive
def test_too_many_files_are_refused(name: str, pack: Pack, tmp_path: Path) -> None:
    archive = pack(tmp_path / name, FEED)

    with pytest.raises(InvalidFeed, match="it holds more than 6 files"):
        members(archive, "it", "1", Limits(files=6))
    assert len(members(archive, "it", "1", Limits(files=7))) == 7


@any_archive
def test_an_archive_that_is_cut_short_is_refused_wherever(
    name: str, pack: Pack, tmp_path: Path
) -> None:
    whole = pack(tmp_path / name, FEED).read_bytes()
    end = len(whole) if name != "f.tar" else len(whole.rstrip(b"\0")) // 512 * 512 + 512

    for length in [*range(0, end, 512), end - 1 if name != "f.tar" else end]:
        (tmp_path / name).write_bytes(whole[:length])
        with pytest.raises(InvalidFeed):
            members(tmp_path / name, "it", "1", Limits())


@any_archive
def test_damage_is_an_invalid_feed_or_shows_nowhere(name: str, pack: Pack, tmp_path: Path) -> None:
    whole = pack(tmp_path / name, FEED).read_bytes()
    archive = tmp_path / name

    def read() -> dict[str, bytes]:
        files = members(archive, "it", "1", Limits())
        return {file.name: b"".join(blocks) for file, blocks in contents(archive, "it", files)}

    for at in range(0, len(whole), 97):
        archive.write_bytes(whole[:at] + noise(8, at) + whole[at + 8 :])
        try:
            found = read()
        except InvalidFeed:
            continue
        # A tar knows no sums of its contents: SHA256SUMS is for that.
        assert name == "f.tar" or {*found.values()} <= {*FEED.values()}


def test_what_is_no_archive_is_named(tmp_path: Path) -> None:
    for name in ("f.zip", "f.tar", "f.tgz"):
        (tmp_path / name).write_bytes(b"<html>Not found</html>")
        with pytest.raises(InvalidFeed, match=rf"{name} is damaged, or no zip or tar archive"):
            copy(tmp_path / name, tmp_path / "feed")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    archive = pack_zip(tmp_path / "f.zip", FEED)
    data = bytearray(archive.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 8] |= 1
    archive.write_bytes(data)

    with pytest.raises(InvalidFeed, match="is encrypted"):
        copy(archive, tmp_path / "feed")


def test_a_dry_run_unpacks_nothing(tmp_path: Path) -> None:
    archive = pack_zip(tmp_path / "f.zip", FEED)

    planned = fetch(
        str(archive), tmp_path / "feed", dry_run=True, on_progress=lambda _done, _total: None
    )

    assert (planned.found, planned.fetched, planned.unchanged) == (1, 1, 0)
    assert planned.bytes == archive.stat().st_size
    assert not (tmp_path / "feed").exists()
