"""What we know: rows about recordings, people, devices and the log, on SQLite or PostgreSQL; rebuildable from the log."""

from catalogue.catalogue import Catalogue
from catalogue.unit_of_work import UnitOfWork

__all__ = ["Catalogue", "UnitOfWork"]
