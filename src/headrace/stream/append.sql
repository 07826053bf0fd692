-- name: read_held
-- What is held of the given records where it differs from what came: nothing comes back for an unchanged one.
-- LATERAL with OFFSET 0 keeps the plan a walk of primary keys, whatever the planner believes of a table just filled.
select u.ord, r.updated_idx, r.deleted, r.version, r.as_of, r.slack_ms, r.strong, r.raw_hash, r.canon_hash,
  r.canon_version, p.up_to as purged_up_to
from unnest($2::uuid[], $3::bytea[]) with ordinality u (record_id, raw_hash, ord)
left join lateral (
  select h.updated_idx, h.deleted, h.version, h.as_of, h.slack_ms, h.strong, h.raw_hash, h.canon_hash, h.canon_version
  from records h where h.stream_id = $1 and h.record_id = u.record_id offset 0
) r on true
cross join (select max(q.up_to) as up_to from purges q where q.stream_id = $1 and q.sync_id = $4) p
where r.raw_hash is distinct from u.raw_hash or r.deleted or r.updated_idx <= p.up_to

-- name: read_purges
-- Removals of this sync's records that still go on.
select collection_id, up_to from purges where stream_id = $1 and sync_id = $2

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
-- The fence: no row means that the writer is late. Held to the end, so that a claim or a change of scope waits.
select 1 from sync_epochs
where stream_id = $1 and sync_id = $2 and epoch = $3 and revision = $4 and not deleted
for share

-- name: lock_stream
-- The append lock. The row never changes, so it leaves no versions behind.
select 1 from stream_locks where stream_id = $1 for update

-- name: take_numbers
-- The next $2 numbers: up to the head that comes back. A statement of its own, after the lock, to see the last head.
insert into stream_heads (stream_id, head, appended_at)
select $1, h.head + $2, greatest(h.appended_at, $3)
from stream_heads h where h.stream_id = $1
order by h.head desc
limit 1
returning head, appended_at

-- name: insert_records
-- Records never held. A conflict means that another append came between the comparison and this: see the caller.
insert into records (stream_id, record_id, sync_id, collection_id, upstream_id, parent_id, partition, updated_idx,
  deleted, version, as_of, slack_ms, strong, upstream_created_at, upstream_updated_at, inserted_at, appended_at,
  raw_hash, canon_version, size, codec, data)
select $1, u.record_id, $2, u.collection_id, u.upstream_id, u.parent_id, u.partition, $3 + u.ord,
  false, u.version, u.as_of, u.slack_ms, u.strong, u.created_at, u.updated_at, $4, $4,
  u.raw_hash, 0, u.size, u.codec, u.data
from unnest($5::uuid[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::timestamptz[], $12::int[],
  $13::bool[], $14::timestamptz[], $15::timestamptz[], $16::bytea[], $17::int[], $18::smallint[], $19::bytea[])
  with ordinality u (record_id, collection_id, upstream_id, parent_id, partition, version, as_of, slack_ms,
    strong, created_at, updated_at, raw_hash, size, codec, data, ord)
on conflict (stream_id, record_id) do nothing

-- name: update_records
-- New content of held records. The guard: the row is still the one that the newcomer was found to be newer than.
update records r set
  updated_idx = $2 + u.ord, deleted = false, version = u.version, as_of = u.as_of, slack_ms = u.slack_ms,
  strong = u.strong, parent_id = u.parent_id, partition = u.partition,
  upstream_created_at = coalesce(u.created_at, r.upstream_created_at), upstream_updated_at = u.updated_at,
  inserted_at = coalesce(u.inserted_at, r.inserted_at), appended_at = $3,
  raw_hash = u.raw_hash, canon_hash = u.canon_hash, canon_version = u.canon_version,
  size = u.size, codec = u.codec, dict_id = null, data = u.data
from unnest($4::uuid[], $5::bigint[], $6::timestamptz[], $7::text[], $8::text[], $9::bigint[], $10::timestamptz[],
  $11::int[], $12::bool[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[], $16::bytea[], $17::bytea[],
  $18::int[], $19::int[], $20::smallint[], $21::bytea[])
  with ordinality u (record_id, held_idx, held_as_of, parent_id, partition, version, as_of,
    slack_ms, strong, created_at, updated_at, inserted_at, raw_hash, canon_hash,
    canon_version, size, codec, data, ord)
where r.stream_id = $1 and r.record_id = u.record_id
  and r.updated_idx is not distinct from u.held_idx and r.as_of = u.held_as_of

-- name: delete_records
-- Living records that are gone upstream: appended again as deleted, their last data kept. Guarded as above.
update records r set
  updated_idx = $2 + u.ord, deleted = true, version = greatest(r.version, u.version), as_of = u.as_of,
  slack_ms = u.slack_ms, strong = true, upstream_updated_at = greatest(r.upstream_updated_at, u.as_of), appended_at = $3
from unnest($4::uuid[], $5::bigint[], $6::timestamptz[], $7::bigint[], $8::timestamptz[], $9::int[])
  with ordinality u (record_id, held_idx, held_as_of, version, as_of, slack_ms, ord)
where r.stream_id = $1 and r.record_id = u.record_id
  and r.updated_idx is not distinct from u.held_idx and r.as_of = u.held_as_of

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

-- name: bury_records
-- Deletes of records that are being purged: nothing is left of them but the guard.
update records r set
  updated_idx = null, deleted = true, version = u.version, as_of = u.as_of, slack_ms = u.slack_ms, strong = true,
  upstream_created_at = null, upstream_updated_at = u.as_of, raw_hash = ''::bytea, canon_hash = null, canon_version = 0,
  size = 0, codec = 0, dict_id = null, data = ''::bytea
from unnest($2::uuid[], $3::bigint[], $4::timestamptz[], $5::bigint[], $6::timestamptz[], $7::int[])
  u (record_id, held_idx, held_as_of, version, as_of, slack_ms)
where r.stream_id = $1 and r.record_id = u.record_id
  and r.updated_idx is not distinct from u.held_idx and r.as_of = u.held_as_of

-- name: refresh_records
-- Records whose content did not change: what is known of it is put right, and nothing is emitted.
update records r set
  version = greatest(r.version, u.version), as_of = u.as_of, slack_ms = u.slack_ms, strong = r.strong or u.strong,
  raw_hash = u.raw_hash, canon_hash = u.canon_hash, canon_version = u.canon_version
from unnest($2::uuid[], $3::bigint[], $4::timestamptz[], $5::bigint[], $6::timestamptz[], $7::int[], $8::bool[],
  $9::bytea[], $10::bytea[], $11::int[])
  u (record_id, held_idx, held_as_of, version, as_of, slack_ms, strong,
    raw_hash, canon_hash, canon_version)
where r.stream_id = $1 and r.record_id = u.record_id
  and r.updated_idx is not distinct from u.held_idx and r.as_of = u.held_as_of

-- name: insert_seen
-- What a sweep has seen, changed or not.
insert into sweep_seen (stream_id, sweep_id, record_id)
select $1, $2, u.record_id from unnest($3::uuid[]) u (record_id)
on conflict (stream_id, sweep_id, record_id) do nothing

-- name: write_checkpoint
-- The whole new value; counts are added, the moments are set when given.
insert into checkpoints (stream_id, sync_id, reading, scope, collection_id, form, value, pages, records, expected,
  started_at, settled_through, completed_at, last_success_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
on conflict (stream_id, sync_id, reading, scope) do update set
  collection_id = excluded.collection_id, form = excluded.form, value = excluded.value,
  pages = checkpoints.pages + excluded.pages, records = checkpoints.records + excluded.records,
  expected = coalesce(excluded.expected, checkpoints.expected),
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
