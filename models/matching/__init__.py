"""How sure a search's results are: labels, and their calibration on the catalogue itself."""
