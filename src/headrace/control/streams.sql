-- name: insert_stream
insert into streams (org_id, id, slug, event_days, created_at, updated_at) values ($1, $2, $3, $4, $5, $6)

-- name: stream
select org_id, id, slug, event_days, created_at, updated_at from streams where org_id = $1 and id = $2

-- name: lock_stream
select org_id, id, slug, event_days, created_at, updated_at from streams where org_id = $1 and id = $2 for update

-- name: streams
select org_id, id, slug, event_days, created_at, updated_at
from streams
where org_id = $1
  and ($2::uuid is null or id > $2)
  and ($3::uuid[] is null or id = any ($3))
  and ($4::text is null or slug = $4)
order by id limit $5

-- name: update_stream
update streams set slug = $3, event_days = $4, updated_at = $5 where org_id = $1 and id = $2

-- name: users_of_stream
select
  (select count(*) from syncs where org_id = $1 and stream_id = $2 and deleted_at is null) as syncs,
  (select count(*) from http_consumers where org_id = $1 and stream_id = $2) as consumers

-- name: forget_deleted_syncs
-- Rows that only wait for their records to be purged; the stream's own purge takes those.
delete from syncs where org_id = $1 and stream_id = $2 and deleted_at is not null

-- name: delete_stream
delete from streams where org_id = $1 and id = $2
