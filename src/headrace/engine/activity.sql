-- name: add_minutes
-- Add to the figures of some minutes of a stream's syncs.
insert into sync_minutes
  (stream_id, sync_id, minute, requests, refused, failed, created, updated, deleted, unchanged)
select $1, u.sync_id, u.minute, u.requests, u.refused, u.failed, u.created, u.updated, u.deleted, u.unchanged
from unnest($2::uuid[], $3::timestamptz[], $4::int[], $5::int[], $6::int[], $7::int[], $8::int[], $9::int[], $10::int[])
  u (sync_id, minute, requests, refused, failed, created, updated, deleted, unchanged)
on conflict (stream_id, sync_id, minute) do update set
  requests = sync_minutes.requests + excluded.requests, refused = sync_minutes.refused + excluded.refused,
  failed = sync_minutes.failed + excluded.failed, created = sync_minutes.created + excluded.created,
  updated = sync_minutes.updated + excluded.updated, deleted = sync_minutes.deleted + excluded.deleted,
  unchanged = sync_minutes.unchanged + excluded.unchanged

-- name: add_lines
insert into sync_log (stream_id, sync_id, id, at, level, event, fields)
select $1, u.sync_id, u.id, u.at, u.level, u.event, u.fields
from unnest($2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[])
  u (sync_id, id, at, level, event, fields)
on conflict (stream_id, sync_id, at, id) do nothing

-- name: minutes
select sync_id, minute, requests, refused, failed, created, updated, deleted, unchanged from sync_minutes
where stream_id = any ($1::uuid[]) and sync_id = any ($2::uuid[]) and minute >= $3
order by sync_id, minute

-- name: lines
-- The latest lines of a sync's log, the newest first.
select id, at, level, event, fields from sync_log
where stream_id = $1 and sync_id = $2 and level = any ($3::text[]) order by at desc, id desc limit $4

-- name: forget_minutes
delete from sync_minutes where stream_id = $1 and minute < $2

-- name: forget_lines
delete from sync_log where stream_id = $1 and at < $2
