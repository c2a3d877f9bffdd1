"""The labels of results, by thresholds that were calibrated for one encoder and one catalogue.

No numpy: who lists encoders reads this.
"""

from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from models.domain.job_payloads import StoredJson
from models.domain.types import MatchLabel

NEIGHBOURS: Final = 6
"""The nearest listing of this rank tells how densely the catalogue is filled around a photo."""
VOTERS: Final = 20
"""The nearest photos whose categories tell what is searched for."""
FORMAT: Final = 1
"""Raise it when the thresholds mean something else: what another release stored is not used."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Measured(_Part):
    """A share, the ends of its 95% interval, and of how many results or searches it is."""

    value: float
    low: float
    high: float
    count: int


class SameItem(_Part):
    """When a result shows the same item, seen beside its neighbourhood.

    Its cosine is at least `similarity`, and its distance (1 - cosine) at most `ratio` of that of
    the nearest listing of rank `NEIGHBOURS`. This is the ratio test of Lowe (2004, section 7.1):
    what is as near as many others are is a lookalike, however near that is.
    """

    similarity: float
    ratio: float


class Precision(_Part):
    """What was measured on listings that the thresholds were not fitted to.

    `same_item` and `very_similar` are the shares of results with the label that are right: of the
    same item, and of the same sub category; `…_alone` where no neighbourhood is known. `found` is
    the share of photos of the catalogue's own items that the item is found for, with the label
    `same item`; `strangers` the share of pictures of nothing that is sold for which all is `none`,
    `lost` the share of photos of the catalogue's kinds that this happens to as well. None is what
    could not be measured.
    """

    same_item: Measured | None = None
    same_item_alone: Measured | None = None
    very_similar: Measured | None = None
    very_similar_alone: Measured | None = None
    found: Measured | None = None
    strangers: Measured | None = None
    lost: Measured | None = None


class Calibration(_Part):
    """The thresholds of an encoder's labels, and how right they are. Similarities are cosines.

    Where the neighbourhood is known, `same_item` holds, elsewhere `same_item_alone` is a least
    cosine. Very similar is what has a cosine of `very_similar_alone`, or is of the sub category of
    a share of `very_similar` of the `VOTERS` nearest photos. From `related` on a result is related.
    Nothing that is found is so much as that if the nearest photo looks less like the query than
    `stranger`: with an adapted encoder, as `models.adaptation.adaptation.Restoration` has it. A
    label that could not be fitted, or was not right often enough, is None: it is never given.
    `photos` are those in the catalogue then, `listings` those asked about, fitted or measured.
    """

    format: int = FORMAT
    photos: int
    listings: int
    same_item: SameItem | None
    same_item_alone: float | None
    very_similar: float | None
    very_similar_alone: float | None
    related: float
    stranger: float
    precision: Precision = Precision()

    def to_json(self) -> StoredJson:
        """The calibration as the database stores it with the encoder."""
        return self.model_dump(mode="json")


def stored_calibration(stored: StoredJson | None) -> Calibration | None:
    """The calibration that was stored so; None if there is none, or none of this format."""
    if stored is None or stored.get("format") != FORMAT:
        return None
    try:
        return Calibration.model_validate(stored)
    except ValidationError:
        return None


def label_of(
    similarity: float,
    calibration: Calibration,
    *,
    reference: float | None = None,
    agreement: float | None = None,
    is_stranger: bool = False,
) -> MatchLabel:
    """The label of a result of this cosine.

    `reference` is the cosine of the query's nearest listing of rank `NEIGHBOURS`, `agreement` the
    share of its `VOTERS` nearest photos that are of the result's sub category, in the whole
    catalogue; None where they are not known. `is_stranger` says that the query is none of the
    catalogue's kinds. Of two results of one search and of one category, the nearer one never has
    the weaker label.
    """
    if is_stranger or similarity < calibration.related:
        return MatchLabel.NONE
    if _is_same_item(similarity, calibration, reference):
        return MatchLabel.SAME_ITEM
    if _is_very_similar(similarity, calibration, agreement):
        return MatchLabel.VERY_SIMILAR
    return MatchLabel.RELATED


def _is_very_similar(similarity: float, calibration: Calibration, agreement: float | None) -> bool:
    alone, enough = calibration.very_similar_alone, calibration.very_similar
    if alone is not None and similarity >= alone:
        return True
    return enough is not None and agreement is not None and agreement >= enough


def _is_same_item(similarity: float, calibration: Calibration, reference: float | None) -> bool:
    if reference is None:
        alone = calibration.same_item_alone
        return alone is not None and similarity >= alone
    same = calibration.same_item
    # Where even the reference is a copy, nothing stands out.
    if same is None or reference >= 1 or similarity < same.similarity:
        return False
    return (1 - similarity) / (1 - reference) <= same.ratio


def withheld_labels(calibration: Calibration) -> tuple[MatchLabel, ...]:
    """The labels that are never given: they could not be fitted, or were not right often enough."""
    thresholds = {
        MatchLabel.SAME_ITEM: (calibration.same_item, calibration.same_item_alone),
        MatchLabel.VERY_SIMILAR: (calibration.very_similar, calibration.very_similar_alone),
    }
    return tuple(label for label, both in thresholds.items() if all(one is None for one in both))
