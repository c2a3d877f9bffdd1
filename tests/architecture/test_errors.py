"""One error tree, mapped once."""

from http import HTTPStatus

from api.problems import STATUS_OF
from models.domain import errors


def tree(root: type[errors.MarketlensError]) -> set[type[errors.MarketlensError]]:
    return {root}.union(*(tree(child) for child in root.__subclasses__()))


def test_every_error_has_a_status() -> None:
    assert set(STATUS_OF) == tree(errors.MarketlensError)
    assert all(isinstance(status, HTTPStatus) for status in STATUS_OF.values())


def test_codes_are_unique() -> None:
    codes = [error.code for error in tree(errors.MarketlensError)]
    assert len(codes) == len(set(codes))


def test_the_docstring_draws_the_tree() -> None:
    drawn = errors.__doc__ or ""
    assert all(
        f" {error.__name__} " in drawn.replace("\n", " \n")
        for error in tree(errors.MarketlensError)
        if error is not errors.MarketlensError
    )
