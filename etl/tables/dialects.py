"""Which column of a shop's export states what.

After the public descriptions of these formats: Google's product data specification, Shopify's and
WooCommerce's product CSV, Magento's (Adobe Commerce's) product attributes. Column names are
compared as `folded` gives them.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from etl.clean.column_names import folded

_NUMBER = re.compile(r"_?[0-9]{1,2}$")


class Field(StrEnum):
    """What a column may state. Several may state the same one: the first that is stated counts."""

    ID = "id"
    TITLE = "title"
    DESCRIPTION = "description"
    CATEGORY = "category"
    PRICE = "price"
    SALE_PRICE = "sale price"
    SALE_DATES = "dates of the sale price"
    CURRENCY = "currency"
    LOCATION = "location"
    LATITUDE = "latitude"
    LONGITUDE = "longitude"
    SELLER = "seller"
    AVAILABILITY = "availability"
    STOCK = "stock"
    PUBLISHED = "published"
    PHOTOS = "photos"
    PHOTO_POSITION = "position of the photo"
    PARENT = "parent"
    KIND = "kind of row"
    VIEW = "view of the shop"


REQUIRED: Final = (Field.ID, Field.TITLE)

_COMMON: Final[Mapping[Field, Sequence[str]]] = {
    Field.ID: (
        *("id", "product_id", "listing_id", "item_id", "external_id", "offer_id", "sku", "handle"),
        *("uuid", "article_number", "item_number", "reference"),
    ),
    Field.TITLE: ("title", "product_name", "name", "product_title", "item_name", "post_title"),
    Field.DESCRIPTION: (
        *("description", "product_description", "body_html", "body", "long_description"),
        *("post_content", "short_description", "summary", "details", "text"),
    ),
    Field.CATEGORY: (
        *("category", "product_type", "categories", "category_path", "product_category"),
        *("google_product_category", "item_category", "taxonomy"),
    ),
    Field.PRICE: (
        *("price", "regular_price", "variant_price", "price.value", "price.amount", "amount"),
        *("unit_price", "current_price", "asking_price", "variants.price"),
    ),
    Field.SALE_PRICE: ("sale_price", "sale_price.value", "sale_price.amount"),
    Field.SALE_DATES: ("sale_price_effective_date",),
    Field.CURRENCY: (
        *("currency", "currency_code", "price_currency", "price.currency"),
        *("price.currency_code", "iso_currency", "currency_id"),
    ),
    Field.LOCATION: ("location", "place", "city", "town", "item_location"),
    Field.LATITUDE: ("latitude", "lat", "location.latitude", "location.lat", "geo.lat"),
    Field.LONGITUDE: (
        *("longitude", "lon", "lng", "long", "location.longitude", "location.lng"),
        *("location.lon", "geo.lng", "geo.lon"),
    ),
    Field.SELLER: ("seller", "seller_id", "seller_name", "vendor", "shop", "merchant", "store"),
    Field.AVAILABILITY: (
        *("availability", "stock_status", "in_stock", "is_in_stock", "instock", "available"),
        "status",
    ),
    Field.STOCK: ("stock", "qty", "quantity", "stock_quantity", "inventory"),
    Field.PUBLISHED: ("published", "is_published", "is_active", "active"),
    Field.PHOTOS: (
        *("image_link", "image_src", "image", "images", "image_url", "image_urls", "photo"),
        *("photos", "photo_url", "photo_urls", "picture", "pictures", "picture_url", "pic_url"),
        *("main_image", "img"),
        *("base_image", "images.src", "images.url", "images.image", "pictures.picture"),
        *("additional_image_link", "additional_image_links", "additional_images"),
        *("additional_images_link", "additional_image", "featured_image"),
    ),
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """An export's columns. Each export of it has all names of one of the `markers`.

    `fields` are looked up before the common ones. Of a table whose rows of one product follow each
    other, `continued` tells by which field they are one. `lists_categories` is whether a cell of
    categories names several, parted by commas; `root` is the category above all others.
    """

    name: str
    markers: Sequence[Collection[str]] = ()
    fields: Mapping[Field, Sequence[str]] = field(default_factory=dict)
    unused: Collection[Field] = ()
    continued: bool = False
    lists_categories: bool = False
    root: str = ""

    def names_of(self, stated: Field) -> Sequence[str]:
        """The names of columns that state this, the first first."""
        if stated in self.fields:
            return self.fields[stated]
        return () if stated in self.unused else _COMMON.get(stated, ())


SHOPIFY: Final = Dialect(
    "Shopify",
    (("handle", "title"), ("url_handle", "title")),
    {
        Field.ID: ("handle", "url_handle"),
        Field.DESCRIPTION: ("body_html", "body", "description"),
        Field.CATEGORY: ("product_category", "type", "product_type", "standard_product_type"),
        Field.PRICE: ("variant_price", "price", "variants.price"),
        Field.PUBLISHED: ("published", "status", "published_on_online_store"),
        Field.PHOTOS: (
            *("image_src", "product_image_url", "images.src", "variant_image"),
            "variant_image_url",
        ),
        Field.PHOTO_POSITION: ("image_position",),
    },
    # What a variant has in stock says nothing of the others.
    unused=(Field.STOCK, Field.SALE_PRICE, Field.AVAILABILITY),
    continued=True,
)
WOOCOMMERCE: Final = Dialect(
    "WooCommerce",
    (("name", "regular_price"),),
    {
        Field.ID: ("id", "sku"),
        Field.AVAILABILITY: ("in_stock", "stock_status"),
        Field.PUBLISHED: ("published", "status"),
        Field.SALE_DATES: ("date_sale_price_starts", "date_sale_price_ends"),
        Field.CATEGORY: ("categories", "categories.name"),
        Field.PARENT: ("parent",),
        Field.KIND: ("type",),
    },
    continued=True,
    lists_categories=True,
)
MAGENTO: Final = Dialect(
    "Magento",
    (("sku", "name", "product_type"), ("sku", "attribute_set_code"), ("sku", "name", "base_image")),
    {
        Field.ID: ("sku",),
        Field.CATEGORY: ("categories",),
        Field.AVAILABILITY: ("is_in_stock",),
        Field.SALE_PRICE: ("special_price",),
        Field.SALE_DATES: ("special_price_from_date", "special_price_to_date"),
        Field.PUBLISHED: ("product_online", "status"),
        Field.PHOTOS: ("base_image", "additional_images"),
        Field.VIEW: ("store_view_code",),
    },
    continued=True,
    lists_categories=True,
    root="Default Category",
)
PLAIN: Final = Dialect("any shop")
"""Google Merchant's, and whatever names its columns by what they hold."""

DIALECTS: Final = (SHOPIFY, WOOCOMMERCE, MAGENTO)

WITHOUT_A_PLACE: Final = frozenset(
    {
        *("brand", "condition", "gtin", "mpn", "ean", "isbn", "barcode", "variant_barcode", "link"),
        *(
            "color",
            "colour",
            "size",
            "gender",
            "age_group",
            "material",
            "pattern",
            "weight",
            "tags",
        ),
        *("item_group_id", "identifier_exists", "shipping", "shipping_weight", "tax", "url_key"),
        *("variant_sku", "variant_grams", "compare_at_price", "variant_compare_at_price"),
        *("additional_attributes", "attribute_set_code", "meta_title", "meta_description", "url"),
        *("seo_title", "seo_description", "image_alt_text", "mobile_link", "shipping_label"),
        *("tax_status", "tax_class", "option1_name", "option1_value", "option2_name"),
        *("option2_value", "option3_name", "option3_value", "unit_pricing_measure", "manufacturer"),
    }
)
"""Columns whose meaning is known, but which are no field of a listing."""


def dialect_of(columns: Collection[str]) -> Dialect:
    """The dialect whose markers are among these folded names."""
    names = set(columns)
    return next(
        dialect
        for dialect in (*DIALECTS, PLAIN)
        if dialect is PLAIN or any(map(names.issuperset, dialect.markers))
    )


def fields_of(dialect: Dialect, columns: Sequence[str]) -> dict[Field, list[int]]:
    """Where the fields are in these columns, by position, those that count first.

    Columns of photos may be numbered, as `image_1`, `image 2`.
    """
    photos = set(dialect.names_of(Field.PHOTOS))
    positions: dict[str, list[int]] = {}
    for position, column in enumerate(columns):
        name = folded(column)
        unnumbered = _NUMBER.sub("", name)
        found_by = unnumbered if unnumbered in photos else name
        positions.setdefault(found_by, []).append(position)
    found = {
        stated: [place for name in dialect.names_of(stated) for place in positions.get(name, ())]
        for stated in Field
    }
    return {stated: places for stated, places in found.items() if places}


def known_names(dialect: Dialect) -> dict[str, Field]:
    """All names that the dialect has for columns, and what they state."""
    return {name: stated for stated in Field for name in dialect.names_of(stated)}
