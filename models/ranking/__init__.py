"""From matching photos to ranked listings. Pure: no index, no database."""
