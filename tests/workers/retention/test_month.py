"""A deployment that is always used stops growing: weeks in which everything is kept for days."""

from datetime import timedelta
from pathlib import Path

from benchmarks.retention import Daily, Simulation
from db.session import Database
from workers.retention.policy import RetentionPolicy

KEPT = timedelta(days=3)
POLICY = RetentionPolicy(jobs=KEPT, events=KEPT, deleted_listings=KEPT, generations=2)
DAILY = Daily(searches=10, listings=4, changed=2, events=20, listed_days=3)
BOUNDED_BY_NUMBER = {"changes", "listing changes", "words", "database bytes"}
"""Changes are kept until there are many, and words are few: in weeks nothing is to be seen."""


def lived(database: Database, folder: Path, *, retains: bool) -> list[dict[str, int]]:
    simulation = Simulation(database, folder, POLICY, DAILY)
    days = []
    for day in range(20):
        simulation.live()
        if retains:
            simulation.retain(read_all=day % 5 == 4)
        days.append(simulation.measured() if day >= 10 else {})
    return days[10:]


def test_after_it_has_warmed_up_nothing_grows(any_database: Database, tmp_path: Path) -> None:
    days = lived(any_database, tmp_path, retains=True)
    for name in days[0].keys() - BOUNDED_BY_NUMBER:
        assert days[-1][name] <= 1.1 * max(day[name] for day in days[:5]), name


def test_without_retention_everything_grows(database: Database, tmp_path: Path) -> None:
    days = lived(database, tmp_path, retains=False)
    for name in days[0].keys() - BOUNDED_BY_NUMBER:
        assert days[-1][name] > 1.3 * days[0][name], name
