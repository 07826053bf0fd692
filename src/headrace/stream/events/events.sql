-- name: read_old
-- The payloads that are held of records that are about to change.
select r.record_id, r.codec, r.data
from unnest($2::uuid[]) u (record_id)
cross join lateral (
  select h.record_id, h.codec, h.data
  from records h where h.stream_id = $1 and h.record_id = u.record_id offset 0
) r

-- name: insert_events
-- One for each number that this append has given out, as the record then stands. The client says of which records
-- something was changed, and what it was before; else a living record is a new one.
insert into events (stream_id, updated_idx, expires_on, event, record_id, sync_id, collection_id, upstream_id, deleted,
  upstream_created_at, upstream_updated_at, inserted_at, appended_at, changes, size, codec, data)
select $1, r.updated_idx, $4,
  case when r.deleted then 'deleted' when c.changes is not null then 'updated' else 'created' end,
  r.record_id, r.sync_id, r.collection_id, r.upstream_id, r.deleted, r.upstream_created_at, r.upstream_updated_at,
  r.inserted_at, r.appended_at, c.changes, r.size, r.codec, r.data
from records r
left join unnest($5::bigint[], $6::bytea[]) c (updated_idx, changes) on c.updated_idx = r.updated_idx
where r.stream_id = $1 and r.updated_idx > $2 and r.updated_idx <= $3

-- name: read_after
-- Visible events past $2 in the order of their numbers, at most $3, and at most $4 bytes but at least one.
select record_id, sync_id, collection_id, upstream_id, updated_idx, deleted, upstream_created_at, upstream_updated_at,
  inserted_at, event, appended_at, changes, codec, data
from (
  select w.*, sum(w.size) over (order by w.updated_idx rows unbounded preceding) as total
  from (
    select * from events e
    where e.stream_id = $1 and e.updated_idx > $2
      and ($5::uuid[] is null or e.sync_id = any ($5))
      and ($6::text is null or e.collection_id like $6)
      and ($7::text[] is null or e.collection_id = any ($7))
      and ($8::text is null or e.upstream_id = $8)
      and ($9::bool is null or e.deleted = $9)
      and not exists (
        select from purges p
        where p.stream_id = $1 and p.sync_id = e.sync_id and e.updated_idx <= p.up_to
          and (p.collection_id is null or p.collection_id = e.collection_id)
      )
    order by e.updated_idx
    limit $3
  ) w
) v
where total <= $4 or total = size
order by updated_idx
