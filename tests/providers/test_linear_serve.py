"""Linear's connector through `headrace serve`: everything arrives, changes and the trash follow, by themselves."""

import pytest
from serving import complete, differences, equal, eventually, serving, start_sync

from headrace.providers.linear import LINEAR
from headrace.testing.linear import LinearServer, Truth

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

COLLECTIONS = tuple(
    f"linear:{name}"
    for name in ("issue", "comment", "project", "cycle", "team", "user", "issue_label", "issue_relation", "document")
)


async def test_a_sync_of_linear_holds_what_linear_holds(dsn: str) -> None:
    async with LinearServer(500) as linear, serving(dsn) as api:
        world, truth = linear.world, Truth(linear)
        properties = {"kind": "linear_key", "key": "lin_api_headraceTests", "base_url": linear.base_url}
        sync = await start_sync(api, "linear", properties, COLLECTIONS)
        await complete(api, sync)
        await equal(api, sync, LINEAR, truth)

        issue, *others = world.things["issue"]
        world.update("issue", issue, title="Mended")
        world.archive("issue", others[0], trashed=True)
        world.create("comment")
        world.create("issue_relation")
        world.update("issue_relation", next(iter(world.things["issue_relation"])), type="blocks")
        await equal(api, sync, LINEAR, truth)

        # A field that Linear takes away is left out, and the rest goes on.
        linear.faults.add("unknown_field", field="priorityLabel")
        fresh = world.create("issue")

        async def arrived() -> bool:
            left = await differences(api, sync, LINEAR, truth)
            return not any(each == f"missing linear:issue {fresh}" for each in left)

        await eventually(arrived)
        assert (await api.syncs.get(sync["id"]))["health"]["status"] == "healthy"
