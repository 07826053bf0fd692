-- name: read_new
-- The head, and visible records past the position and up to $3 that pass the filters, at most $4; without their data
-- from where it would be more than $5 bytes. One row with the head alone when there is none. One snapshot: up to the
-- head, all that is there is seen.
select v.record_id, v.sync_id, v.collection_id, v.upstream_id, v.updated_idx, v.deleted, v.upstream_created_at,
  v.upstream_updated_at, v.inserted_at, v.codec, case when v.total <= $5 then v.data end as data,
  h.head, h.removals, v.total
from (select g.head, g.removals from stream_heads g where g.stream_id = $1 order by g.head desc limit 1) h
left join (
  select w.*, sum(w.size) over (order by w.updated_idx rows unbounded preceding) as total
  from (
    select * from records r
    where r.stream_id = $1 and r.updated_idx > $2 and r.updated_idx <= $3
      and ($6::uuid[] is null or r.sync_id = any ($6))
      and ($7::text[] is null or split_part(r.collection_id, ':', 1) = any ($7))
      and ($8::text[] is null or r.collection_id = any ($8))
      and not exists (
        select from purges p
        where p.stream_id = $1 and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
          and (p.collection_id is null or p.collection_id = r.collection_id)
      )
    order by r.updated_idx
    limit $4
  ) w
) v on true
order by v.updated_idx

-- name: read_due
-- What became of records that are due again: those that are gone or being purged do not come back.
select r.record_id, r.sync_id, r.collection_id, r.updated_idx, r.size, null::bigint as waiting
from unnest($2::uuid[]) u (record_id)
cross join lateral (
  select h.record_id, h.sync_id, h.collection_id, h.updated_idx, h.size
  from records h where h.stream_id = $1 and h.record_id = u.record_id offset 0
) r
where r.updated_idx is not null and not exists (
  select from purges p
  where p.stream_id = $1 and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
    and (p.collection_id is null or p.collection_id = r.collection_id)
)

-- name: read_again
-- Records to be handed out again. One that has moved past its number meanwhile comes by the position.
select r.record_id, r.sync_id, r.collection_id, r.upstream_id, r.updated_idx, r.deleted, r.upstream_created_at,
  r.upstream_updated_at, r.inserted_at, r.codec, r.data
from unnest($2::uuid[], $3::bigint[]) u (record_id, updated_idx)
cross join lateral (
  select * from records h where h.stream_id = $1 and h.record_id = u.record_id offset 0
) r
where r.updated_idx = u.updated_idx

-- name: count_new
-- How many records past the position pass the filters, counted up to $3.
select count(*) from (
  select from records r
  where r.stream_id = $1 and r.updated_idx > $2
    and ($4::uuid[] is null or r.sync_id = any ($4))
    and ($5::text[] is null or split_part(r.collection_id, ':', 1) = any ($5))
    and ($6::text[] is null or r.collection_id = any ($6))
    and not exists (
      select from purges p
      where p.stream_id = $1 and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
        and (p.collection_id is null or p.collection_id = r.collection_id)
    )
  order by r.updated_idx
  limit $3
) w

-- name: count_held_back
-- Of those, how many wait because an older version of the record is not acked.
select count(*)
from unnest($3::uuid[]) u (record_id)
cross join lateral (
  select h.updated_idx, h.sync_id, h.collection_id
  from records h where h.stream_id = $1 and h.record_id = u.record_id offset 0
) r
where r.updated_idx > $2
  and ($4::uuid[] is null or r.sync_id = any ($4))
  and ($5::text[] is null or split_part(r.collection_id, ':', 1) = any ($5))
  and ($6::text[] is null or r.collection_id = any ($6))
  and not exists (
    select from purges p
    where p.stream_id = $1 and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
      and (p.collection_id is null or p.collection_id = r.collection_id)
  )

-- name: reaches_bytes
-- Whether the next $3 records past the position have more than $4 bytes.
select coalesce(sum(w.size), 0) > $4 from (
  select r.size from records r where r.stream_id = $1 and r.updated_idx > $2 order by r.updated_idx limit $3
) w

-- name: place_last
-- Just before the last visible record.
select r.updated_idx - 1 from records r
where r.stream_id = $1 and r.updated_idx is not null and not exists (
  select from purges p
  where p.stream_id = $1 and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
    and (p.collection_id is null or p.collection_id = r.collection_id)
)
order by r.updated_idx desc
limit 1

-- name: list_dead
-- By record; past $3 when given.
select r.record_id, r.sync_id, r.collection_id, r.upstream_id, r.updated_idx, r.deleted, r.upstream_created_at,
  r.upstream_updated_at, r.inserted_at, r.codec, r.data, d.idx, d.deliveries, d.reason, d.dead_at
from dead_letters d
join records r on r.stream_id = $1 and r.record_id = d.record_id
where d.stream_id = $1 and d.consumer_id = $2 and ($3::uuid is null or d.record_id > $3)
  and r.updated_idx is not null
  and not exists (
    select from purges p
    where p.stream_id = $1 and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
      and (p.collection_id is null or p.collection_id = r.collection_id)
  )
order by d.record_id
limit $4

-- name: take_dead
-- Those of records that are out too: they have come back by themselves.
delete from dead_letters d
where d.stream_id = $1 and d.consumer_id = $2 and ($3::uuid[] is null or d.record_id = any ($3))
returning record_id, idx
