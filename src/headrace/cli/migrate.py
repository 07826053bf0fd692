"""`headrace migrate`."""

from headrace.cli.database import database_url
from headrace.cli.process import DataDir, run, settings_from
from headrace.db.migrate import migrate as apply
from headrace.settings import Settings


def migrate(data_dir: DataDir = None) -> None:
    """Bring the database to the newest schema. `serve` does it too; this does it alone, before a roll-out say."""
    applied = run(_migrate(settings_from(data_dir=data_dir)))
    print(f"Applied: {', '.join(applied)}." if applied else "The database is at the newest schema already.")


async def _migrate(settings: Settings) -> list[str]:
    async with database_url(settings) as url:
        return await apply(url)
