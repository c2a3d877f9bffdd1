"""The formats of photos that are taken, each opened by its own module, for `models.photo_decoding`.

A module hands its decoder only what makes pixels, and reads orientation and colour profile itself,
within bounds. Pillow, pi-heif and the standard library only, because the API imports this.
"""
