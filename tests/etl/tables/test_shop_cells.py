"""What is in the cells of shops' tables: names of columns, photos, HTML, offers, ids."""

from pathlib import Path, PurePosixPath
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.clean.column_names import folded
from etl.clean.not_stated import NOT_STATED, is_stated
from etl.clean.uuids import AS_THEY_ARE, SAMPLE, Ids, ids_of
from etl.tables.html_text import html_to_text
from etl.tables.offers import NotOfferedError, listing_status
from etl.tables.open_source import open_rows
from etl.tables.photo_references import as_path, as_url, is_url, split_references
from etl.tables.shop_table import ShopTable
from models.domain.types import ListingStatus

ACTIVE, SOLD, RESERVED = ListingStatus.ACTIVE, ListingStatus.SOLD, ListingStatus.RESERVED


@pytest.mark.parametrize(
    ("name", "spellings"),
    [
        ("image_link", ["image_link", "Image Link", "IMAGE-LINK", " g:image_link ", "imageLink"]),
        ("body_html", ["Body (HTML)", "body_html"]),
        ("in_stock", ["In stock?", "in-stock"]),
        ("id", ["ID", "id", "\ufeffid".lstrip("\ufeff"), " Id "]),
        ("images.src", ["images.src", "Images.Src"]),
    ],
)
def test_a_column_has_one_name_however_it_is_spelt(name: str, spellings: list[str]) -> None:
    assert {folded(spelling) for spelling in spellings} == {name}


@pytest.mark.parametrize(
    ("cell", "photos"),
    [
        ("a.jpg", ["a.jpg"]),
        ("a.jpg, b.jpg;c.jpg|d.jpg\ne.jpg", ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]),
        ("a.jpg b.JPG c.webp", ["a.jpg", "b.JPG", "c.webp"]),
        ("my photo.jpg", ["my photo.jpg"]),
        ("my photo.jpg, other one.png", ["my photo.jpg", "other one.png"]),
        ("https://x.example/a,b.jpg?w=1;h=2", ["https://x.example/a,b.jpg?w=1;h=2"]),
        ("https://x.example/a.jpg,https://x.example/b", ["https://x.example/a.jpg", "https://x.example/b"]),
        ("https://x.example/1 HTTP://x.example/2", ["https://x.example/1", "HTTP://x.example/2"]),
        ("https://x.example/a.jpg, b.jpg", ["https://x.example/a.jpg", "b.jpg"]),
        ("//cdn.example/a.jpg", ["//cdn.example/a.jpg"]),
        ("a\x1fb c\x1fd", ["a", "b c", "d"]),
        (" , ;\n", []),
    ],
)  # fmt: skip
def test_photos_of_a_cell_are_told_apart(cell: str, photos: list[str]) -> None:
    assert split_references(cell) == photos


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    st.lists(
        st.sampled_from(["..", ".", "/", "\\", "a", "C:", "~", "é", "\x00", "\ud800", " "]),
        max_size=8,
    ).map("".join)
    | st.text(max_size=20)
)
def test_no_path_of_a_cell_leads_out_of_the_folder(reference: str) -> None:
    try:
        path = as_path(reference)
    except ValueError:
        return
    parts = PurePosixPath(path).parts
    assert parts
    assert not PurePosixPath(path).is_absolute()
    assert ".." not in parts
    folder = Path("/feed")
    assert (folder / path).is_relative_to(folder)
    assert as_path(path) == path


@pytest.mark.parametrize(
    "reference", ["ftp://x/a.jpg", "data:image/png;base64,AA", "../a", "C:\\a"]
)
def test_what_is_neither_a_file_nor_a_url_is_refused(reference: str) -> None:
    assert not is_url(reference)
    with pytest.raises(ValueError, match=r"is neither|is no path"):
        as_path(reference)


def test_a_url_without_a_scheme_is_of_the_web() -> None:
    assert is_url("//cdn.example/a.jpg")
    assert as_url("//cdn.example/a.jpg") == "https://cdn.example/a.jpg"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("sizes <5 and >9 & more", "sizes <5 and >9 & more"),
        ("one\ntwo", "one\ntwo"),
        ("Tom &amp; Jerry &#8211; new", "Tom & Jerry – new"),  # noqa: RUF001 - the dash of the entity
        ("<b>Oak</b> lamp<br>40 cm<br/><br />new", "Oak lamp\n40 cm\n\nnew"),
        ("<p>One</p>\n<p>Two</p>", "One\n\n \n\nTwo"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
        ("a<style>p{color:red}</style>b<script>x('<p>')</script>c", "abc"),
        ("<div>a<div>b</div></div>c", "a\nb\nc"),
        ("<p>un<b>closed", "unclosed"),
        ("<td>1</td><td>2</td>", "1\n2"),
    ],
)
def test_html_is_shown_as_text(html: str, text: str) -> None:
    assert html_to_text(html).strip() == text


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from(["<p>", "</", "<!--", "&#", "<script", ">", "a", "<![CDATA["])))
def test_any_html_has_a_text(pieces: list[str]) -> None:
    assert isinstance(html_to_text("".join(pieces)), str)


@pytest.mark.parametrize(
    ("published", "availability", "stock", "status"),
    [
        ([], [], [], ACTIVE),
        ([], ["in stock"], [], ACTIVE),
        ([], ["in_stock"], ["0"], ACTIVE),
        ([], ["preorder"], [], ACTIVE),
        ([], ["https://schema.org/OutOfStock"], [], SOLD),
        ([], ["Out of stock"], ["5"], SOLD),
        ([], ["sold"], [], SOLD),
        ([], ["reserved"], [], RESERVED),
        (["1"], ["0"], [], SOLD),
        (["TRUE", "active"], [], [], ACTIVE),
        ([], ["NULL"], ["0.0000"], SOLD),
        ([], [], ["3"], ACTIVE),
    ],
)
def test_an_offer_has_a_status(
    published: list[str], availability: list[str], stock: list[str], status: ListingStatus
) -> None:
    assert listing_status(published, availability, stock) is status


@pytest.mark.parametrize("word", ["draft", "Archived", "-1", "0", "FALSE", "2", "private"])
def test_what_a_shop_does_not_show_is_not_offered(word: str) -> None:
    with pytest.raises(NotOfferedError):
        listing_status([word], [], [])


def test_a_word_that_is_not_known_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not understood"):
        listing_status([], ["perhaps"], [])
    (tmp_path / "t.csv").write_text("id,title,availability\n1,One,perhaps\n")
    (chunk,) = ShopTable(open_rows(tmp_path / "t.csv")).chunks(10)
    assert chunk.frame["status"].tolist() == ["active"]
    assert [reject.reason for reject in chunk.left_out] == ["is not understood"]


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(sorted(NOT_STATED)), st.data())
def test_nothing_is_stated_in_any_case(word: str, data: st.DataObject) -> None:
    spelt = "".join(data.draw(st.sampled_from([c.lower(), c.upper()])) for c in word)
    assert not is_stated(f" {spelt} ")
    assert is_stated(f"x{word}x")


def test_ids_are_uuids_where_most_of_them_are() -> None:
    uuid = str(UUID(int=7))
    assert ids_of("shop", []) == AS_THEY_ARE
    assert ids_of("shop", [uuid, "x"]) == AS_THEY_ARE
    assert ids_of("shop", [uuid, "x", "y"]) == Ids("shop")
    assert ids_of("shop", ["", "NULL", uuid.upper()]) == AS_THEY_ARE
    assert ids_of("shop", [*["x"] * SAMPLE, *[uuid] * 9 * SAMPLE]) == Ids("shop")


def test_an_id_of_the_callers_always_gives_the_same_uuid() -> None:
    # Another value here means that every shop's listings would be new ones.
    assert Ids("shop")("SKU-1") == "0d714205-4939-5af0-afa6-71d16f2bee94"
    assert Ids("shop")(" SKU-1\t") == Ids("shop")("SKU-1")
    assert Ids("other")("SKU-1") != Ids("shop")("SKU-1")
    assert Ids("shop").external(" SKU-1 ") == "SKU-1"
    for wrong, reason in (("", "is empty"), ("NULL", "is empty"), ("x" * 201, "more than 200")):
        with pytest.raises(ValueError, match=reason):
            Ids("shop")(wrong)


@pytest.mark.parametrize(
    ("column", "advice"),
    [
        ("prise", "is not known: call it price if it is the price"),
        ("Price (EUR)", "is not known: call it price if it is the price"),
        ("Brand", "is known, but no field of a listing: it is left out"),
        ("whatever", "is not known: it is left out"),
    ],
)
def test_a_column_that_is_not_used_is_told_with_what_to_do(
    tmp_path: Path, column: str, advice: str
) -> None:
    (tmp_path / "t.csv").write_text(f"id,title,{column},\n1,One,x,\n")
    unused = ShopTable(open_rows(tmp_path / "t.csv")).unused()
    assert [(one.column, one.advice) for one in unused] == [(column, advice)]


@pytest.mark.parametrize(
    ("columns", "cells", "price"),
    [
        ("price", "5", "5"),
        ("price,currency", "5,EUR", "5\x1fEUR"),
        ("price,sale_price", "5,4", "4"),
        ("price,sale_price", "5,NULL", "5"),
        ("price,sale_price,sale_price_effective_date", "5,4,2020-01-01/2020-02-01", "5"),
        ("title2", "x", ""),
    ],
)
def test_the_price_is_what_a_buyer_pays(
    tmp_path: Path, columns: str, cells: str, price: str
) -> None:
    (tmp_path / "t.csv").write_text(f"id,title,{columns}\n1,One,{cells}\n")
    (chunk,) = ShopTable(open_rows(tmp_path / "t.csv")).chunks(10)
    assert chunk.frame["price"].tolist() == [price]


def test_columns_of_photos_may_be_numbered(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,title,Image 2,Image 1,photo3\n1,One,b.jpg,a.jpg,c.jpg\n")
    (chunk,) = ShopTable(open_rows(tmp_path / "t.csv")).chunks(10)
    assert chunk.photos == {2: ["b.jpg", "a.jpg", "c.jpg"]}
