-- name: read_held
-- What is held of the given records where it differs from what came: nothing comes back for an unchanged one.
-- LATERAL with OFFSET 0 keeps the plan a walk of primary keys, whatever the planner believes of a table just filled.
-- With it come the sync's purges, of the same moment: a record must not be seen before one is over and the purge after.
select u.ord, r.updated_idx, r.deleted, r.version, r.as_of, r.slack_ms, r.strong, r.raw_hash, r.canon_hash,
  r.canon_version, p.collections as purged, p.up_tos as purged_up_to,
  (select l.event_days from stream_locks l where l.stream_id = $1) as event_days,
  (select max(g.head) from stream_heads g where g.stream_id = $1) as head,
  (select e.removals from sync_epochs e where e.stream_id = $1 and e.sync_id = $4) as removals
from unnest($2::uuid[], $3::bytea[]) with ordinality u (record_id, raw_hash, ord)
left join lateral (
  select h.updated_idx, h.deleted, h.version, h.as_of, h.slack_ms, h.strong, h.raw_hash, h.canon_hash, h.canon_version
  from records h where h.stream_id = $1 and h.record_id = u.record_id offset 0
) r on true
cross join (
  select max(q.up_to) as up_to, array_agg(q.collection_id) as collections, array_agg(q.up_to) as up_tos
  from purges q where q.stream_id = $1 and q.sync_id = $4
) p
where r.raw_hash is distinct from u.raw_hash or r.deleted or r.updated_idx <= p.up_to

-- name: read_payloads
-- The held payloads of these records, to compare canonical forms.
select r.record_id, r.codec, r.data
from unnest($2::uuid[]) u (record_id)
cross join lateral (
  select h.record_id, h.codec, h.data from records h where h.stream_id = $1 and h.record_id = u.record_id offset 0
) r

-- name: read_children
-- The living children of a parent that are not among those that it still has.
select upstream_id, partition from records
where stream_id = $1 and sync_id = $2 and parent_id = $3 and collection_id = $4 and not deleted
  and updated_idx is not null and upstream_id <> all ($5::text[])

-- name: lock_epoch
-- The fence: no row means that the writer is late. Held to the end, so that a claim or a change of scope waits. It tells
-- how often retention has removed records of the sync, which waits too, and how many of the dictionaries $5 are there.
select removals,
  (select count(*) from payload_dicts d where d.stream_id = $1 and d.dict_id = any ($5::int[])) as dictionaries
from sync_epochs
where stream_id = $1 and sync_id = $2 and epoch = $3 and revision = $4 and not deleted
for share

-- name: lock_stream
-- The append lock. The row hardly ever changes, so it leaves no versions behind. It tells whether events are kept.
select event_days from stream_locks where stream_id = $1 for update

-- name: take_numbers
-- The next $2 numbers: up to the head that comes back. A statement of its own, after the lock, to see the last head.
insert into stream_heads (stream_id, head, appended_at, removals)
select $1, h.head + $2, greatest(h.appended_at, $3), h.removals
from stream_heads h where h.stream_id = $1
order by h.head desc
limit 1
returning head, appended_at

-- name: upsert_records
-- New records, and new content of held ones. A row with a number past $33, the head at the comparison, was written by
-- another append since: it is left alone, and the caller sees by the count that it was. The rest of the guard is the
-- rule of `incoming.order`, for what leaves no number: a tombstone, or a refresh.
-- A column of which all rows say the same comes as one value, its list empty (unnest fills up with nulls).
-- An upsert because it always goes by the primary key: a join of UPDATE with unnest was seen to read the whole stream.
insert into records (stream_id, record_id, sync_id, collection_id, upstream_id, parent_id, partition, updated_idx,
  deleted, version, as_of, slack_ms, strong, upstream_created_at, upstream_updated_at, inserted_at, appended_at,
  raw_hash, canon_hash, canon_version, size, codec, data)
select $1, u.record_id, $2, coalesce(u.collection_id, $11), u.upstream_id, coalesce(u.parent_id, $12),
  coalesce(u.partition, $13), $3 + u.ord, false, coalesce(u.version, $14), coalesce(u.as_of, $15),
  coalesce(u.slack_ms, $16), coalesce(u.strong, $17), u.created_at, coalesce(u.updated_at, $18), $4, $4,
  u.raw_hash, coalesce(u.canon_hash, $19), coalesce(u.canon_version, $20), u.size, coalesce(u.codec, $21), u.data
from unnest($5::uuid[], $6::text[], $7::timestamptz[], $8::bytea[], $9::int[], $10::bytea[],
  $22::text[], $23::text[], $24::text[], $25::bigint[], $26::timestamptz[], $27::int[], $28::bool[],
  $29::timestamptz[], $30::bytea[], $31::int[], $32::smallint[])
  with ordinality u (record_id, upstream_id, created_at, raw_hash, size, data,
    collection_id, parent_id, partition, version, as_of, slack_ms, strong,
    updated_at, canon_hash, canon_version, codec, ord)
on conflict (stream_id, record_id) do update set
  parent_id = excluded.parent_id, partition = excluded.partition, updated_idx = excluded.updated_idx, deleted = false,
  version = case excluded.version when 0 then records.version else excluded.version end,
  as_of = excluded.as_of, slack_ms = excluded.slack_ms, strong = excluded.strong,
  upstream_created_at = coalesce(excluded.upstream_created_at, records.upstream_created_at),
  upstream_updated_at = excluded.upstream_updated_at,
  inserted_at = case when records.updated_idx is null then excluded.inserted_at else records.inserted_at end,
  appended_at = excluded.appended_at,
  raw_hash = excluded.raw_hash, canon_hash = excluded.canon_hash, canon_version = excluded.canon_version,
  size = excluded.size, codec = excluded.codec, data = excluded.data
where (records.raw_hash <> excluded.raw_hash or records.deleted) and coalesce(records.updated_idx, 0) <= $33
  and case
    when excluded.version <> records.version and excluded.version <> 0 and records.version <> 0
      then excluded.version > records.version
    else excluded.as_of - records.as_of >= records.slack_ms * interval '1 millisecond'
      and (excluded.strong or not records.strong)
  end

-- name: delete_record
-- A living record is gone upstream: appended again as deleted, its last data kept. Only over the row that was compared.
update records set
  updated_idx = $3, deleted = true, version = greatest(version, $4), as_of = $5, slack_ms = $6, strong = true,
  upstream_updated_at = greatest(upstream_updated_at, $5), appended_at = $7
where stream_id = $1 and record_id = $2 and updated_idx is not distinct from $8 and as_of = $9
returning 1

-- name: insert_tombstones
-- Deletes of records never held: guards without number and message.
insert into records (stream_id, record_id, sync_id, collection_id, upstream_id, parent_id, partition, updated_idx,
  deleted, version, as_of, slack_ms, strong, upstream_created_at, upstream_updated_at, inserted_at, appended_at,
  raw_hash, canon_version, size, codec, data)
select $1, u.record_id, $2, u.collection_id, u.upstream_id, u.parent_id, u.partition, null,
  true, u.version, u.as_of, u.slack_ms, true, null, u.as_of, $3, $3, ''::bytea, 0, 0, 0, ''::bytea
from unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[], $10::timestamptz[], $11::int[])
  u (record_id, collection_id, upstream_id, parent_id, partition, version, as_of, slack_ms)
on conflict (stream_id, record_id) do nothing

-- name: refresh_record
-- The content did not change: what is known of it is put right, and nothing is emitted.
update records set
  version = greatest(version, $3), as_of = $4, slack_ms = $5, strong = strong or $6,
  raw_hash = $7, canon_hash = $8, canon_version = $9
where stream_id = $1 and record_id = $2 and updated_idx is not distinct from $10 and as_of = $11
returning 1

-- name: drop_purged
-- The invisible remainder of a record that comes again while its purge goes on.
delete from records where stream_id = $1 and record_id = $2 and updated_idx = $3
returning 1

-- name: insert_seen
-- What a sweep has seen, changed or not.
insert into sweep_seen (stream_id, sweep_id, record_id)
select $1, $2, u.record_id from unnest($3::uuid[]) u (record_id)
on conflict (stream_id, sweep_id, record_id) do nothing

-- name: write_checkpoint
-- The whole new value; counts are added, or begin anew with a new `started_at`; the moments are set when given.
insert into checkpoints (stream_id, sync_id, reading, scope, collection_id, form, value, pages, records, expected,
  started_at, settled_through, completed_at, last_success_at, requests)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
on conflict (stream_id, sync_id, reading, scope) do update set
  collection_id = excluded.collection_id, form = excluded.form, value = excluded.value,
  pages = excluded.pages + case when excluded.started_at is null then checkpoints.pages else 0 end,
  requests = excluded.requests + case when excluded.started_at is null then checkpoints.requests else 0 end,
  records = excluded.records + case when excluded.started_at is null then checkpoints.records else 0 end,
  expected = coalesce(excluded.expected, case when excluded.started_at is null then checkpoints.expected end),
  started_at = coalesce(excluded.started_at, checkpoints.started_at),
  settled_through = coalesce(excluded.settled_through, checkpoints.settled_through),
  completed_at = coalesce(excluded.completed_at, checkpoints.completed_at),
  last_success_at = excluded.last_success_at, last_error = null

-- name: remove_checkpoint
delete from checkpoints where stream_id = $1 and sync_id = $2 and reading = $3 and scope = $4

-- name: complete_backfill
-- Set once and never cleared.
update sync_states set initial_backfill_completed_at = $3
where stream_id = $1 and sync_id = $2 and initial_backfill_completed_at is null
