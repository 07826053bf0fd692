import pytest
from stream_log import Log, new_log

from headrace.db.pool import Database


@pytest.fixture
async def log(db: Database) -> Log:
    """An empty stream with one sync."""
    return await new_log(db)
