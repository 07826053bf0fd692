"""`headrace consumers`."""

from typing import Annotated, Any, Literal

import typer

from headrace.cli import output
from headrace.cli.connection import connected, id_of, stream_id
from headrace.cli.fields import Filter, Metadata, as_json, given, listed
from headrace.cli.output import AsJson, DryRun

app = typer.Typer(no_args_is_help=True, help="Consumers: a place in a stream, and what is out from there unacked.")

Name = Annotated[str, typer.Argument(metavar="CONSUMER", help="Name or id.")]
Policy = Annotated[
    Literal["all", "new", "last", "1h"] | None,
    typer.Option("--deliver-policy", help="Where in the stream it begins."),
]
AckWait = Annotated[int | None, typer.Option(help="After this a message that is not acked is delivered again.")]
MaxDeliver = Annotated[int | None, typer.Option(help="After so many deliveries it is set aside; -1: never.")]
MaxAckPending = Annotated[int | None, typer.Option(help="So many messages may be out at once.")]
ProviderFilter = Annotated[list[str] | None, typer.Option("--provider", help="Only of these providers.")]
SyncFilter = Annotated[list[str] | None, typer.Option("--sync-id", help="Only of these syncs.")]
CollectionFilter = Annotated[list[str] | None, typer.Option("--collection", "-c", help="Only of these collections.")]


def _filters(providers: list[str] | None, syncs: list[str] | None, collections: list[str] | None) -> Any:
    chosen = given(provider=listed(providers), sync_id=listed(syncs), collection_id=listed(collections))
    return chosen or None


@app.command("list")
def list_(
    stream: Annotated[str | None, typer.Option(help="Slug or id.")] = None,
    metadata: Filter = None,
    json: AsJson = False,
) -> None:
    """The consumers that all given filters let through."""
    with connected() as api:
        found = api.consumers.list(**given(stream_id=stream and stream_id(api, stream), metadata=metadata))
        output.table(found, ["id", "name", "stream_id", "deliver_policy", "ack_wait_ms", "max_ack_pending"], json)


@app.command()
def get(consumer: Name, json: AsJson = False) -> None:
    """One consumer, with what is pending, out and set aside."""
    with connected() as api:
        output.one(api.consumers.get(id_of(api.consumers, consumer)), json)


@app.command()
def create(
    name: str,
    stream: Annotated[str, typer.Option(help="Slug or id.")],
    kind: Annotated[Literal["records", "events"] | None, typer.Option(help="What it is given.")] = None,
    deliver_policy: Policy = None,
    ack_wait_ms: AckWait = None,
    max_deliver: MaxDeliver = None,
    max_ack_pending: MaxAckPending = None,
    provider: ProviderFilter = None,
    sync_id: SyncFilter = None,
    collection: CollectionFilter = None,
    metadata: Metadata = None,
    json: AsJson = False,
) -> None:
    """Make a consumer."""
    fields = given(
        kind=kind,
        deliver_policy=deliver_policy,
        ack_wait_ms=ack_wait_ms,
        max_deliver=max_deliver,
        max_ack_pending=max_ack_pending,
        filters=_filters(provider, sync_id, collection),
        metadata=as_json(metadata, "--metadata"),
    )
    with connected() as api:
        output.one(api.consumers.create(name=name, stream_id=stream_id(api, stream), **fields), json)


@app.command()
def update(
    consumer: Name,
    name: Annotated[str | None, typer.Option()] = None,
    deliver_policy: Policy = None,
    ack_wait_ms: AckWait = None,
    max_deliver: MaxDeliver = None,
    max_ack_pending: MaxAckPending = None,
    provider: ProviderFilter = None,
    sync_id: SyncFilter = None,
    collection: CollectionFilter = None,
    metadata: Metadata = None,
    json: AsJson = False,
) -> None:
    """Change what is given. A new deliver policy moves the consumer there."""
    fields = given(
        name=name,
        deliver_policy=deliver_policy,
        ack_wait_ms=ack_wait_ms,
        max_deliver=max_deliver,
        max_ack_pending=max_ack_pending,
        filters=_filters(provider, sync_id, collection),
        metadata=as_json(metadata, "--metadata"),
    )
    with connected() as api:
        output.one(api.consumers.update(id_of(api.consumers, consumer), **fields), json)


@app.command()
def delete(consumer: Name, dry_run: DryRun = False, json: AsJson = False) -> None:
    """Delete a consumer; the stream stays."""
    with connected() as api:
        found = id_of(api.consumers, consumer)
        if dry_run:
            output.plan(api.consumers.plan_delete(found), json)
        else:
            output.one(api.consumers.delete(found), json)


@app.command()
def reset(consumer: Name, deliver_policy: Policy = None) -> None:
    """Move a consumer to where its policy, or this one, says. What is out becomes void."""
    with connected() as api:
        api.consumers.reset(id_of(api.consumers, consumer), deliver_policy)


@app.command("dead-letters")
def dead_letters(consumer: Name, json: AsJson = False) -> None:
    """The messages that were set aside."""
    with connected() as api:
        found = api.consumers.dead_letters(id_of(api.consumers, consumer))
        columns = ["record.id", "record.collection_id", "record.upstream_id", "deliveries", "reason", "dead_at"]
        output.table(found, columns, json)


@app.command()
def replay(consumer: Name) -> None:
    """Deliver the messages again that were set aside."""
    with connected() as api:
        api.consumers.replay_dead_letters(id_of(api.consumers, consumer))
