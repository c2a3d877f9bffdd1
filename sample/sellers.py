"""Who sells the items, and where: towns of the United Kingdom, and made-up people in them."""

from random import Random
from typing import NamedTuple

PLACES = {
    "Ealing, London": (51.513, -0.305),
    "Camden, London": (51.539, -0.143),
    "Bristol, Bristol": (51.454, -2.588),
    "Exeter, Devon": (50.726, -3.527),
    "Truro, Cornwall": (50.263, -5.051),
    "Poole, Dorset": (50.715, -1.987),
    "Brighton, East Sussex": (50.823, -0.137),
    "Norwich, Norfolk": (52.628, 1.297),
    "Ipswich, Suffolk": (52.057, 1.148),
    "York, North Yorkshire": (53.959, -1.082),
    "Leeds, West Yorkshire": (53.801, -1.549),
    "Sheffield, South Yorkshire": (53.381, -1.470),
    "Stockport, Manchester": (53.407, -2.157),
    "Preston, Lancashire": (53.763, -2.703),
    "Durham, County Durham": (54.776, -1.575),
    "Derby, Derbyshire": (52.922, -1.476),
    "Lincoln, Lincolnshire": (53.231, -0.541),
    "Coventry, West Midlands": (52.407, -1.512),
    "Cardiff, Cardiff": (51.482, -3.179),
    "Swansea, Swansea": (51.621, -3.944),
    "Dundee, Dundee": (56.462, -2.971),
    "Perth, Perth and Kinross": (56.396, -3.437),
    "Belfast, Belfast": (54.597, -5.930),
    "Reading, Berkshire": (51.454, -0.978),
}
"""The places of listings, and where each is: latitude and longitude, in degrees."""

_LISTINGS_EACH = 2
_SPREAD_DEGREES = 0.03


class Seller(NamedTuple):
    """Who sells an item, and where they live, in degrees."""

    name: str
    latitude: float
    longitude: float


def draw_seller(seed: int, index: int, place: str) -> Seller:
    """Draws who sells listing number `index` in this place; a seller stays where they live.

    There are about half as many sellers as listings up to this one. The generators are of its own:
    what else is drawn of a listing does not depend on its seller.
    """
    sellers = index // (len(PLACES) * _LISTINGS_EACH) + 1
    number = Random(f"{seed}:{index}:seller").randint(1, sellers)
    town = place.partition(",")[0].lower()
    name = f"{town}-{number}"
    home = Random(f"{seed}:{name}")
    latitude, longitude = (
        round(home.gauss(degrees, _SPREAD_DEGREES), 4) for degrees in PLACES[place]
    )
    return Seller(name, latitude, longitude)
