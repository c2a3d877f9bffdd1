"""Exports of shops, drawn here after the public descriptions of their formats.

Each is of the same two products, a lamp with two photos and a chair with one that is sold out, and
has what such exports have besides: columns that are no field of a listing, drafts, variants.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from tests.support.pictures import jpeg

PHOTOS = ("lamp-1.jpg", "lamp-2.jpg", "chair.jpg")

LAMP_HTML = (
    "<p>A lamp &amp; shade.</p><ul><li>Oak</li><li>40&nbsp;cm</li></ul><script>track()</script>"
)
LAMP_TEXT = "A lamp & shade.\n\n- Oak\n- 40 cm"

Export = Callable[[str], str]
"""The text of an export, whose photos are below this address or folder."""


def write_photos(folder: Path) -> None:
    """The photos of the products, as files in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(PHOTOS, start=1):
        (folder / name).write_bytes(jpeg(number, (64, 48)))


def table(columns: Sequence[str], rows: Sequence[Mapping[str, str]], delimiter: str = ",") -> str:
    """Rows as a table of text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, delimiter=delimiter, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


# fmt: off
SHOPIFY_COLUMNS = (
    "Handle", "Title", "Body (HTML)", "Vendor", "Product Category", "Type", "Tags", "Published",
    "Option1 Name", "Option1 Value", "Variant SKU", "Variant Grams", "Variant Inventory Qty",
    "Variant Price", "Variant Compare At Price", "Variant Barcode", "Image Src", "Image Position",
    "Image Alt Text", "Gift Card", "SEO Title", "Variant Image", "Status",
)
WOOCOMMERCE_COLUMNS = (
    "ID", "Type", "SKU", "Name", "Published", "Is featured?", "Visibility in catalog",
    "Short description", "Description", "Date sale price starts", "Date sale price ends",
    "Tax status", "In stock?", "Stock", "Weight (kg)", "Sale price", "Regular price", "Categories",
    "Tags", "Images", "Parent", "Position", "Attribute 1 name", "Attribute 1 value(s)",
)
MAGENTO_COLUMNS = (
    "sku", "store_view_code", "attribute_set_code", "product_type", "categories",
    "product_websites", "name", "description", "short_description", "weight", "product_online",
    "visibility", "price", "special_price", "special_price_from_date", "special_price_to_date",
    "url_key", "base_image", "base_image_label", "small_image", "thumbnail_image", "created_at",
    "additional_attributes", "qty", "is_in_stock", "additional_images", "additional_image_labels",
)
GOOGLE_COLUMNS = (
    "id", "title", "description", "link", "image_link", "additional_image_link", "availability",
    "price", "sale_price", "sale_price_effective_date", "google_product_category", "product_type",
    "brand", "gtin", "mpn", "condition", "item_group_id", "shipping",
)
# fmt: on


def shopify(at: str) -> str:
    """The rows of one product follow each other; further ones have its photos and variants."""
    lamp = {
        "Handle": "oak-lamp",
        "Title": "Oak lamp",
        "Body (HTML)": LAMP_HTML,
        "Vendor": "Sam",
        "Product Category": "Home & Garden > Lighting",
        "Type": "Lamps",
        "Published": "true",
        "Option1 Name": "Size",
        "Option1 Value": "S",
        "Variant Price": "1250.00",
        "Image Src": f"{at}lamp-2.jpg",
        "Image Position": "2",
        "Status": "active",
    }
    large = {
        "Handle": "oak-lamp",
        "Option1 Value": "L",
        "Variant Price": "1400.00",
        "Image Src": f"{at}lamp-1.jpg",
        "Image Position": "1",
        "Variant Image": f"{at}lamp-1.jpg",
    }
    draft = {"Handle": "draft", "Title": "Draft", "Published": "false", "Status": "draft"}
    chair = {
        "Handle": "chair",
        "Title": "Chair",
        "Variant Price": "30.00",
        "Published": "true",
        "Image Src": f"{at}chair.jpg",
        "Image Position": "1",
        "Status": "active",
    }
    return table(SHOPIFY_COLUMNS, [lamp, large, draft, chair])


def woocommerce(at: str) -> str:
    """Categories are parted by commas, photos too; variations follow their product."""
    lamp = {
        "ID": "71",
        "Type": "variable",
        "SKU": "LAMP",
        "Name": "Oak lamp",
        "Published": "1",
        "Description": LAMP_HTML,
        "Short description": "A lamp.",
        "In stock?": "1",
        "Categories": "Home & Garden, Home & Garden > Lighting",
        "Tags": "oak, lamp",
        "Images": f"{at}lamp-1.jpg, {at}lamp-2.jpg",
    }
    variation = {
        "ID": "72",
        "Type": "variation",
        "SKU": "LAMP-S",
        "Name": "Oak lamp - S",
        "Published": "1",
        "In stock?": "1",
        "Regular price": "1300",
        "Sale price": "1250",
        "Parent": "LAMP",
        "Images": f"{at}lamp-1.jpg",
    }
    draft = {"ID": "73", "Type": "simple", "Name": "Draft", "Published": "-1"}
    chair = {
        "ID": "74",
        "Type": "simple",
        "SKU": "CHAIR",
        "Name": "Chair",
        "Published": "1",
        "In stock?": "0",
        "Regular price": "30",
        "Images": f"{at}chair.jpg",
    }
    return table(WOOCOMMERCE_COLUMNS, [lamp, variation, draft, chair])


def magento(at: str) -> str:
    """Categories are paths with slashes, photos begin with one; a view of the shop has a row."""
    lamp = {
        "sku": "LAMP",
        "attribute_set_code": "Default",
        "product_type": "simple",
        "categories": "Default Category/Home & Garden,Default Category/Home & Garden/Lighting",
        "name": "Oak lamp",
        "description": LAMP_HTML,
        "product_online": "1",
        "price": "1250.0000",
        "base_image": f"{at}lamp-1.jpg",
        "qty": "3.0000",
        "additional_images": f"{at}lamp-1.jpg,{at}lamp-2.jpg",
        "is_in_stock": "1",
        "additional_attributes": "colour=oak,height=40",
    }
    german = {"sku": "LAMP", "store_view_code": "de", "name": "Lampe", "product_type": "simple"}
    draft = {"sku": "DRAFT", "product_type": "simple", "name": "Draft", "product_online": "2"}
    chair = {
        "sku": "CHAIR",
        "product_type": "simple",
        "name": "Chair",
        "price": "30.0000",
        "product_online": "1",
        "qty": "0.0000",
        "is_in_stock": "0",
        "base_image": f"{at}chair.jpg",
    }
    return table(MAGENTO_COLUMNS, [lamp, german, draft, chair])


def _google(at: str) -> tuple[dict[str, str], dict[str, str]]:
    lamp = {
        "id": "LAMP",
        "title": "Oak lamp",
        "description": LAMP_TEXT.replace("\n", " "),
        "link": "https://shop.example/lamp",
        "image_link": f"{at}lamp-1.jpg",
        "additional_image_link": f"{at}lamp-2.jpg",
        "availability": "in_stock",
        "price": "1300.00 GBP",
        "sale_price": "1250.00 GBP",
        "condition": "new",
        "google_product_category": "594",
        "product_type": "Home & Garden > Lighting",
        "brand": "Oaks",
        "item_group_id": "LAMPS",
    }
    chair = {
        "id": "CHAIR",
        "title": "Chair",
        "availability": "out of stock",
        "price": "30.00 GBP",
        "image_link": f"{at}chair.jpg",
        "link": "https://shop.example/chair",
    }
    return lamp, chair


def google_tsv(at: str) -> str:
    """Google Merchant's table, parted by tabs."""
    return table(GOOGLE_COLUMNS, _google(at), "\t")


def google_xml(at: str) -> str:
    """Google Merchant's feed as RSS 2.0."""
    items = [
        "".join(f"<g:{name}>{escape(text)}</g:{name}>" for name, text in product.items())
        + "<g:shipping><g:country>GB</g:country><g:price>3.99 GBP</g:price></g:shipping>"
        for product in _google(at)
    ]
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel><title>Shop</title>'
        + "\n".join(f"<item>{item}</item>" for item in items)
        + "</channel></rss>"
    )


def google_atom(at: str) -> str:
    """Google Merchant's feed as Atom, whose own ids say nothing."""
    items = []
    for product in _google(at):
        own = f"<title>{escape(product['title'])}</title><id>tag:shop.example,2020:/feed</id>"
        rest = {name: text for name, text in product.items() if name != "title"}
        items.append(
            own + "".join(f"<g:{name}>{escape(text)}</g:{name}>" for name, text in rest.items())
        )
    return (
        '<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom" '
        'xmlns:g="http://base.google.com/ns/1.0"><title>Shop</title>'
        + "".join(f"<entry>{item}</entry>" for item in items)
        + "</feed>"
    )


EXPORTS: Mapping[str, tuple[str, Export]] = {
    "Shopify": ("products_export.csv", shopify),
    "WooCommerce": ("wc-product-export.csv", woocommerce),
    "Magento": ("catalog_product.csv", magento),
    "Google Merchant, TSV": ("merchant.tsv", google_tsv),
    "Google Merchant, RSS": ("merchant.xml", google_xml),
    "Google Merchant, Atom": ("google.xml", google_atom),
}
"""By name: the file as the shop calls it, and its text."""
