"""Retention as the settings say."""

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Event

from db.session import Database
from db.store.photo_store import PhotoStore
from settings import Settings
from workers.retention.erasing import Places
from workers.retention.policy import RetentionPolicy
from workers.retention.run import Retention
from workers.retention.steps import REST_S, SHARE, Pace


def retention_of(
    settings: Settings,
    database: Database,
    clock: Callable[[], datetime],
    stop: Event,
    *,
    rest_s: float = REST_S,
    share: float = SHARE,
    on_removed: Callable[[int], None] = lambda _: None,
) -> Retention:
    """Retention of the deployment that the settings name. Nothing is connected to yet."""
    pace = Pace(database, clock, stop, on_removed, rest_s, share)
    return Retention.of(pace, places_of(settings), policy_of(settings))


def policy_of(settings: Settings) -> RetentionPolicy:
    """For how long what is kept."""
    return RetentionPolicy(
        jobs=timedelta(days=settings.jobs_kept_days),
        events=timedelta(days=settings.events_kept_days),
        deleted_listings=timedelta(days=settings.deleted_listings_kept_days),
        retired_encoders=timedelta(days=settings.retired_encoders_kept_days),
        audit=timedelta(days=settings.audit_kept_days),
        generations=settings.keep_generations,
        shared_index=settings.index_url is not None,
    )


def places_of(settings: Settings) -> Places:
    """Where files are, of which some leave."""
    return Places(
        PhotoStore(settings.photo_store_url),
        settings.generations_dir,
        settings.columns_file,
        (settings.models_dir, settings.columns_file.parent),
    )
