"""`headrace migrate`."""

from typing import TYPE_CHECKING

from headrace.cli.process import DataDir, run, settings_from
from headrace.errors import HeadraceError

if TYPE_CHECKING:
    from headrace.settings import Settings


class Refused(HeadraceError):
    """The database and this version do not belong together."""


def migrate(data_dir: DataDir = None) -> None:
    """Bring the database to the newest schema. `serve` does it too; this does it alone, before a roll-out say."""
    applied = run(_migrate(settings_from(data_dir=data_dir)))
    print(f"Applied: {', '.join(applied)}." if applied else "The database is at the newest schema already.")


async def _migrate(settings: "Settings") -> list[str]:
    from headrace.cli.database import database_url
    from headrace.db.migrate import MigrationRefused
    from headrace.db.migrate import migrate as apply

    async with database_url(settings) as url:
        try:
            return await apply(url)
        except MigrationRefused as error:
            raise Refused(str(error)) from error
