"""`headrace syncs`."""

from typing import Annotated, Any, Literal

import typer

from headrace.cli import output
from headrace.cli.connection import connected, credential_id, id_of, stream_id
from headrace.cli.fields import Filter, Metadata, as_json, given, listed, number, properties, rate_limit
from headrace.cli.output import AsJson, DryRun
from headrace.cli.watch import watch

app = typer.Typer(no_args_is_help=True, help="Syncs: a provider's account, copied into a stream and kept there.")
app.command()(watch)

Name = Annotated[str, typer.Argument(metavar="SYNC", help="Name or id.")]
CollectionIds = Annotated[
    list[str] | None,
    typer.Option("--collection", "-c", help="A collection id such as stripe:customer; repeat, or part with commas."),
]
RateLimit = Annotated[
    str | None,
    typer.Option(
        "--rate-limit", help="REQUESTS/SECONDS or REQUESTS/SECONDS/AT-ONCE, such as 100/60; default: the provider's."
    ),
]
MaxAge = Annotated[str | None, typer.Option(help="Leave out what is older; null: no limit.", metavar="DAYS")]
Frequency = Annotated[Literal["continuous", "4h"] | None, typer.Option("--frequency")]
MaxPoll = Annotated[int | None, typer.Option("--max-poll-ms", help="The longest pause between two reads when idle.")]
Retention = Annotated[str | None, typer.Option(help="Keep deleted records so long; null: for ever.", metavar="DAYS")]
ExternalId = Annotated[str | None, typer.Option(help="Your own id for it; null: none.")]
Status = Annotated[Literal["active", "disabled"] | None, typer.Option()]
_COLUMNS = ["id", "name", "provider", "status", "health.status", "sync_frequency", "initial_backfill_completed_at"]


@app.command("list")
def list_(
    stream: Annotated[str | None, typer.Option(help="Slug or id.")] = None,
    provider: Annotated[str | None, typer.Option()] = None,
    status: Status = None,
    health: Annotated[str | None, typer.Option(help="initializing, healthy, warning or error.")] = None,
    name: Annotated[str | None, typer.Option()] = None,
    external_id: Annotated[str | None, typer.Option()] = None,
    credential: Annotated[str | None, typer.Option(help="Name or id of a credential.")] = None,
    metadata: Filter = None,
    json: AsJson = False,
) -> None:
    """The syncs that all given filters let through."""
    with connected() as api:
        filters = given(
            stream_id=stream and stream_id(api, stream),
            provider=provider,
            status=status,
            name=name,
            external_id=external_id,
            credential_id=credential and credential_id(api, credential),
            metadata=metadata,
        )
        if health is not None:
            filters["health.status"] = health
        output.table(api.syncs.list(**filters), _COLUMNS, json)


@app.command()
def get(sync: Name, json: AsJson = False) -> None:
    """One sync."""
    with connected() as api:
        output.one(api.syncs.get(id_of(api.syncs, sync)), json)


@app.command()
def create(
    name: str,
    stream: Annotated[str, typer.Option(help="Slug or id.")],
    provider: Annotated[str, typer.Option()],
    collection_ids: CollectionIds,
    credential: Annotated[str | None, typer.Option(help="Name or id of a credential.")] = None,
    kind: Annotated[str | None, typer.Option(help="Kind of a new credential, such as stripe_key.")] = None,
    property_: Annotated[list[str], typer.Option("--property", help="NAME=VALUE of the new credential.")] = [],  # noqa: B006
    secret: Annotated[list[str], typer.Option(help="NAME (asks), NAME=@FILE or NAME=$VARIABLE.")] = [],  # noqa: B006
    rate: RateLimit = None,
    max_age_days: MaxAge = None,
    frequency: Frequency = None,
    max_poll_ms: MaxPoll = None,
    deleted_retention_days: Retention = None,
    external_id: ExternalId = None,
    metadata: Metadata = None,
    status: Status = None,
    json: AsJson = False,
) -> None:
    """Make a sync, with a credential that is there or with a new one."""
    with connected() as api:
        access: dict[str, Any] = {}
        if credential is not None:
            access["credential_id"] = credential_id(api, credential)
        if kind is not None:
            access["credential"] = {"properties": {"kind": kind, **properties(property_, secret)}}
        fields = given(
            max_age_days=number(max_age_days, "--max-age-days"),
            sync_frequency=frequency,
            max_poll_ms=max_poll_ms,
            deleted_retention_days=number(deleted_retention_days, "--deleted-retention-days"),
            external_id=external_id,
            metadata=as_json(metadata, "--metadata"),
            status=status,
            rate_limit=rate_limit(rate),
        )
        collections = listed(collection_ids)
        made = api.syncs.create(
            name=name,
            stream_id=stream_id(api, stream),
            provider=provider,
            collection_ids=collections,
            **access,
            **fields,
        )
        output.one(made, json)


@app.command()
def update(
    sync: Name,
    name: Annotated[str | None, typer.Option()] = None,
    collection_ids: CollectionIds = None,
    rate: RateLimit = None,
    status: Status = None,
    max_age_days: MaxAge = None,
    frequency: Frequency = None,
    max_poll_ms: MaxPoll = None,
    deleted_retention_days: Retention = None,
    external_id: ExternalId = None,
    metadata: Metadata = None,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """Change what is given; a running sync follows at once."""
    fields = given(
        name=name,
        collection_ids=listed(collection_ids),
        rate_limit=rate_limit(rate),
        status=status,
        max_age_days=number(max_age_days, "--max-age-days"),
        sync_frequency=frequency,
        max_poll_ms=max_poll_ms,
        deleted_retention_days=number(deleted_retention_days, "--deleted-retention-days"),
        external_id=external_id,
        metadata=as_json(metadata, "--metadata"),
    )
    with connected() as api:
        found = id_of(api.syncs, sync)
        if dry_run:
            output.plan(api.syncs.plan_update(found, **fields), json)
        else:
            output.one(api.syncs.update(found, **fields), json)


@app.command()
def delete(sync: Name, dry_run: DryRun = False, json: AsJson = False) -> None:
    """Stop a sync and take its records out of the stream."""
    with connected() as api:
        found = id_of(api.syncs, sync)
        if dry_run:
            output.plan(api.syncs.plan_delete(found), json)
        else:
            output.one(api.syncs.delete(found), json)


@app.command()
def collections(sync: Name, json: AsJson = False) -> None:
    """How far each collection is."""
    columns = [
        "id",
        "phase",
        "records",
        "lag_seconds",
        "settled_through",
        "last_success_at",
        "held_deletes",
        "last_error",
    ]
    with connected() as api:
        output.table(api.syncs.collections(id_of(api.syncs, sync)), columns, json)


@app.command()
def run(sync: Name) -> None:
    """Start the next run now."""
    with connected() as api:
        api.syncs.run(id_of(api.syncs, sync))


@app.command()
def backfill(sync: Name, collection_ids: CollectionIds = None) -> None:
    """Read collections from the start again: those given, or all."""
    with connected() as api:
        api.syncs.backfill(id_of(api.syncs, sync), listed(collection_ids))


@app.command()
def wait(
    sync: Name,
    level: Annotated[
        Literal["head", "settled"],
        typer.Option(help="head: a read of changes that began after this call is done; settled: the late ones too."),
    ] = "head",
    timeout_ms: Annotated[int, typer.Option(max=300_000)] = 30_000,
    json: AsJson = False,
) -> None:
    """Wait until every change made at the provider before this call is in the stream. Exit code 1 when it is not."""
    with connected() as api:
        output.table(
            api.syncs.wait(id_of(api.syncs, sync), level, timeout_ms)["collections"], ["id", "level", "through"], json
        )


@app.command()
def purge(
    sync: Name,
    collection: Annotated[str | None, typer.Option("--collection", "-c", help="This one only.")] = None,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """Take a sync's records out of the stream; it goes on with what changes from now on."""
    with connected() as api:
        found = id_of(api.syncs, sync)
        if dry_run:
            output.plan(api.syncs.plan_purge(found, collection), json)
        else:
            output.one(api.syncs.purge(found, collection), json)


@app.command("confirm-deletes")
def confirm_deletes(sync: Name, collection_id: str, sweep_id: str) -> None:
    """Let the deletes go through that the safety catch holds back; `collections` shows them and their sweep id."""
    with connected() as api:
        print(f"{api.syncs.confirm_deletes(id_of(api.syncs, sync), collection_id, sweep_id)} records deleted")
