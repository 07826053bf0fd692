"""What a plan costs, for the answer of a dry run."""

from headrace.api.services import Services
from headrace.control.syncs import Sync
from headrace.engine.access import NoSuchProvider, load_access
from headrace.engine.account_collections import for_sync
from headrace.engine.forecast import Forecast
from headrace.engine.limits import override_of
from headrace.engine.plan import Plan
from headrace.vault import credentials


async def price(services: Services, plan: Plan, sync: Sync | None) -> Plan:
    """The plan with what the provider tells of its backfills, and with their time. `sync` is the one that is to change,
    as it is now. Without the connector the plan stays as it is."""
    if plan.sync is None or not plan.backfill:
        return plan
    async with services.db.api.acquire() as conn:
        credential = await credentials.get(conn, plan.sync.org_id, plan.sync.credential_id)
        try:
            access = await load_access(conn, services.keyring, services.providers, credential, services.settings)
        except NoSuchProvider:
            return plan
        access = await for_sync(conn, access, plan.sync)
    return await Forecast(services.transport, access, override_of(services.settings), sync).price(plan)
