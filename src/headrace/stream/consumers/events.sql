-- name: read_new
-- The head, and visible events past the position and up to $3 that pass the filters, at most $4; without their data
-- from where it would be more than $5 bytes. One row with the head alone when there is none. One snapshot: up to the
-- head, all that is there is seen.
select v.record_id, v.sync_id, v.collection_id, v.upstream_id, v.updated_idx, v.deleted, v.upstream_created_at,
  v.upstream_updated_at, v.inserted_at, v.event, v.appended_at, v.changes, v.codec,
  case when v.total <= $5 then v.data end as data,
  h.head, h.removals, v.total
from (select g.head, g.removals from stream_heads g where g.stream_id = $1 order by g.head desc limit 1) h
left join (
  select w.*, sum(w.size) over (order by w.updated_idx rows unbounded preceding) as total
  from (
    select * from events e
    where e.stream_id = $1 and e.updated_idx > $2 and e.updated_idx <= $3
      and ($6::uuid[] is null or e.sync_id = any ($6))
      and ($7::text[] is null or split_part(e.collection_id, ':', 1) = any ($7))
      and ($8::text[] is null or e.collection_id = any ($8))
      and not exists (
        select from purges p
        where p.stream_id = $1 and p.sync_id = e.sync_id and e.updated_idx <= p.up_to
          and (p.collection_id is null or p.collection_id = e.collection_id)
      )
    order by e.updated_idx
    limit $4
  ) w
) v on true
order by v.updated_idx

-- name: read_due
-- The events that are to be handed out for records that are due: the event $3 itself, or, where it is gone, the first
-- that waits ($4, 0: none does) up to the position $5; and what waits behind it.
select u.record_id, r.sync_id, r.collection_id, r.updated_idx, r.size, r.next_idx as waiting
from unnest($2::uuid[], $3::bigint[], $4::bigint[]) u (record_id, idx, waiting)
cross join lateral (
  select w.*, lead(w.updated_idx) over (order by w.updated_idx) as next_idx
  from (
    select e.sync_id, e.collection_id, e.updated_idx, e.size
    from events e
    where e.stream_id = $1 and e.record_id = u.record_id and e.updated_idx >= u.idx and e.updated_idx <= $5
      and (e.updated_idx = u.idx or (u.waiting > 0 and e.updated_idx >= u.waiting))
      and not exists (
        select from purges p
        where p.stream_id = $1 and p.sync_id = e.sync_id and e.updated_idx <= p.up_to
          and (p.collection_id is null or p.collection_id = e.collection_id)
      )
    order by e.updated_idx
    limit 2
  ) w
  order by w.updated_idx
  limit 1
) r

-- name: read_again
select r.record_id, r.sync_id, r.collection_id, r.upstream_id, r.updated_idx, r.deleted, r.upstream_created_at,
  r.upstream_updated_at, r.inserted_at, r.event, r.appended_at, r.changes, r.codec, r.data
from unnest($2::bigint[]) u (updated_idx)
cross join lateral (
  select * from events e where e.stream_id = $1 and e.updated_idx = u.updated_idx offset 0
) r

-- name: count_new
-- Of how many records there are events past the position that pass the filters, counted up to $3 events: of each, one
-- is given at a time.
select count(distinct w.record_id) from (
  select e.record_id from events e
  where e.stream_id = $1 and e.updated_idx > $2
    and ($4::uuid[] is null or e.sync_id = any ($4))
    and ($5::text[] is null or split_part(e.collection_id, ':', 1) = any ($5))
    and ($6::text[] is null or e.collection_id = any ($6))
    and not exists (
      select from purges p
      where p.stream_id = $1 and p.sync_id = e.sync_id and e.updated_idx <= p.up_to
        and (p.collection_id is null or p.collection_id = e.collection_id)
    )
  order by e.updated_idx
  limit $3
) w

-- name: count_held_back
-- Of how many of those an earlier event is not acked.
select count(*)
from unnest($3::uuid[]) u (record_id)
where exists (
  select from events e
  where e.stream_id = $1 and e.record_id = u.record_id and e.updated_idx > $2
    and ($4::uuid[] is null or e.sync_id = any ($4))
    and ($5::text[] is null or split_part(e.collection_id, ':', 1) = any ($5))
    and ($6::text[] is null or e.collection_id = any ($6))
    and not exists (
      select from purges p
      where p.stream_id = $1 and p.sync_id = e.sync_id and e.updated_idx <= p.up_to
        and (p.collection_id is null or p.collection_id = e.collection_id)
    )
)

-- name: reaches_bytes
-- Whether the next $3 events past the position have more than $4 bytes.
select coalesce(sum(w.size), 0) > $4 from (
  select e.size from events e where e.stream_id = $1 and e.updated_idx > $2 order by e.updated_idx limit $3
) w

-- name: place_last
-- Just before the last visible event.
select e.updated_idx - 1 from events e
where e.stream_id = $1 and not exists (
  select from purges p
  where p.stream_id = $1 and p.sync_id = e.sync_id and e.updated_idx <= p.up_to
    and (p.collection_id is null or p.collection_id = e.collection_id)
)
order by e.updated_idx desc
limit 1

-- name: list_dead
-- By number; past $3 when given.
select e.record_id, e.sync_id, e.collection_id, e.upstream_id, e.updated_idx, e.deleted, e.upstream_created_at,
  e.upstream_updated_at, e.inserted_at, e.event, e.appended_at, e.changes, e.codec, e.data, d.idx, d.deliveries, d.reason, d.dead_at
from dead_letters d
join events e on e.stream_id = $1 and e.updated_idx = d.idx
where d.stream_id = $1 and d.consumer_id = $2 and d.idx > $3
  and not exists (
    select from purges p
    where p.stream_id = $1 and p.sync_id = e.sync_id and e.updated_idx <= p.up_to
      and (p.collection_id is null or p.collection_id = e.collection_id)
  )
order by d.idx
limit $4

-- name: take_dead
-- Of each record the oldest, and none while another event of the record is not acked ($4).
delete from dead_letters d
where d.stream_id = $1 and d.consumer_id = $2 and ($3::uuid[] is null or d.record_id = any ($3))
  and d.record_id <> all ($4::uuid[])
  and not exists (
    select from dead_letters o
    where o.stream_id = $1 and o.consumer_id = $2 and o.record_id = d.record_id and o.idx < d.idx
  )
returning record_id, idx
