-- name: read_after
-- Visible records past $2 in the order of their numbers, at most $3, and at most $4 bytes but at least one.
select record_id, sync_id, collection_id, upstream_id, updated_idx, deleted, upstream_created_at, upstream_updated_at,
  inserted_at, codec, data
from (
  select w.*, sum(w.size) over (order by w.updated_idx rows unbounded preceding) as total
  from (
    select * from records r
    where r.stream_id = $1 and r.updated_idx > $2
      and ($5::uuid[] is null or r.sync_id = any ($5))
      and ($6::text is null or r.collection_id like $6)
      and ($7::text[] is null or r.collection_id = any ($7))
      and ($8::bool is null or r.deleted = $8)
      and not exists (
        select from purges p
        where p.stream_id = $1 and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
          and (p.collection_id is null or p.collection_id = r.collection_id)
      )
    order by r.updated_idx
    limit $3
  ) w
) v
where total <= $4 or total = size
order by updated_idx

-- name: pairs
-- Of which syncs and collections records can be held that pass these filters, at most $5.
select sync_id, collection_id from record_counts
where stream_id = $1 and ($2::uuid[] is null or sync_id = any ($2)) and ($3::text is null or collection_id like $3)
  and ($4::text[] is null or collection_id = any ($4))
group by sync_id, collection_id limit $5

-- name: read_pairs
-- The same as `read_after` by way of the few syncs and collections that it is about, which are found in the same moment:
-- one index each in the order of the numbers, however many other records lie between.
select record_id, sync_id, collection_id, upstream_id, updated_idx, deleted, upstream_created_at, upstream_updated_at,
  inserted_at, codec, data
from (
  select w.*, sum(w.size) over (order by w.updated_idx rows unbounded preceding) as total
  from (
    select r.* from (
      select distinct c.sync_id, c.collection_id from record_counts c
      where c.stream_id = $1 and ($5::uuid[] is null or c.sync_id = any ($5))
        and ($6::text is null or c.collection_id like $6) and ($7::text[] is null or c.collection_id = any ($7))
    ) u
    cross join lateral (
      select * from records h
      where h.stream_id = $1 and h.sync_id = u.sync_id and h.collection_id = u.collection_id and h.updated_idx > $2
        and ($8::bool is null or h.deleted = $8)
        and not exists (
          select from purges p
          where p.stream_id = $1 and p.sync_id = h.sync_id and h.updated_idx <= p.up_to
            and (p.collection_id is null or p.collection_id = h.collection_id)
        )
      order by h.updated_idx
      limit $3
    ) r
    order by r.updated_idx
    limit $3
  ) w
) v
where total <= $4 or total = size
order by updated_idx

-- name: read_named
-- The same for records of these ids.
select record_id, sync_id, collection_id, upstream_id, updated_idx, deleted, upstream_created_at, upstream_updated_at,
  inserted_at, codec, data
from (
  select w.*, sum(w.size) over (order by w.updated_idx rows unbounded preceding) as total
  from (
    select r.* from unnest($5::uuid[]) u (record_id)
    cross join lateral (
      select * from records h where h.stream_id = $1 and h.record_id = u.record_id offset 0
    ) r
    where r.updated_idx > $2 and ($6::bool is null or r.deleted = $6)
      and not exists (
        select from purges p
        where p.stream_id = $1 and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
          and (p.collection_id is null or p.collection_id = r.collection_id)
      )
    order by r.updated_idx
    limit $3
  ) w
) v
where total <= $4 or total = size
order by updated_idx

-- name: read_latest
-- The last $2 visible records, the newest first.
select record_id, sync_id, collection_id, upstream_id, updated_idx, deleted, upstream_created_at, upstream_updated_at,
  inserted_at, codec, data
from records r
where r.stream_id = $1 and r.updated_idx is not null
  and not exists (
    select from purges p
    where p.stream_id = $1 and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
      and (p.collection_id is null or p.collection_id = r.collection_id)
  )
order by r.updated_idx desc
limit $2

-- name: read_record
-- One visible record, wherever among these streams.
select r.stream_id, record_id, sync_id, collection_id, upstream_id, updated_idx, deleted, upstream_created_at,
  upstream_updated_at, inserted_at, codec, data
from records r
where r.stream_id = any ($1::uuid[]) and r.record_id = $2 and r.updated_idx is not null
  and not exists (
    select from purges p
    where p.stream_id = r.stream_id and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
      and (p.collection_id is null or p.collection_id = r.collection_id)
  )
limit 1

-- name: read_head
select head from stream_heads where stream_id = $1 order by head desc limit 1

-- name: count_living
-- Records that are held and not deleted.
select count(*) from records r
where r.stream_id = $1 and r.sync_id = $2 and ($3::text is null or r.collection_id = $3)
  and r.updated_idx is not null and not r.deleted
  and not exists (
    select from purges p
    where p.stream_id = $1 and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
      and (p.collection_id is null or p.collection_id = r.collection_id)
  )
