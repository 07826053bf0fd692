-- name: hashes
-- The hashes of the texts held under these record ids; deleted ones count as not held.
select record_id, raw_hash from records
where stream_id = $1 and record_id = any ($2::uuid[]) and not deleted

-- name: see
-- Mark held records as seen by a sweep.
insert into sweep_seen (stream_id, sweep_id, record_id)
select stream_id, $2, record_id from records
where stream_id = $1 and record_id = any ($3::uuid[]) and sync_id = $4
on conflict do nothing

-- name: see_children
-- Mark the held children of a parent as seen by a sweep.
insert into sweep_seen (stream_id, sweep_id, record_id)
select stream_id, $2, record_id from records
where stream_id = $1 and sync_id = $3 and collection_id = $4 and parent_id = $5
on conflict do nothing

-- name: set_aside
-- A record, or the children of one parent, that could not be read: tried again after a minute, then twice as long each
-- time, up to a day: the moments are given as $9, since the data plane computes with no time zone. Returns when.
insert into set_aside
  (stream_id, sync_id, collection_id, what, upstream_id, parent_id, reason, attempts, retry_at, first_at)
values ($1, $2, $3, $4, $5, $6, $7, 1, ($9::timestamptz[])[1], $8)
on conflict (stream_id, sync_id, collection_id, what, upstream_id)
do update set reason = excluded.reason, attempts = set_aside.attempts + 1,
  retry_at = ($9::timestamptz[])[least(set_aside.attempts + 1, cardinality($9::timestamptz[]))],
  parent_id = coalesce(excluded.parent_id, set_aside.parent_id)
returning retry_at

-- name: put_back
-- What was set aside until $6 has been read; unless it was put off anew meanwhile.
delete from set_aside
where stream_id = $1 and sync_id = $2 and collection_id = $3 and what = $4 and upstream_id = $5 and retry_at = $6

-- name: aside
-- What is set aside and due to be tried again, oldest first.
select collection_id, what, upstream_id, parent_id, attempts, retry_at, hint, forget, looks from set_aside
where stream_id = $1 and sync_id = $2 and collection_id = any ($3::text[]) and retry_at <= $4 and what <> 'partition'
order by retry_at limit $5

-- name: place
-- Where a record stands.
select parent_id, partition from records where stream_id = $1 and record_id = $2

-- name: next_aside
-- When something that is set aside is due next.
select min(retry_at) from set_aside
where stream_id = $1 and sync_id = $2 and collection_id = any ($3::text[]) and what <> 'partition'

-- name: put_off
-- A record, or the children of one parent, to be read at $6, when the answer can tell which picture is the newest. What
-- waits for that already is not put off further, or a record that never rests would never be read.
insert into set_aside
  (stream_id, sync_id, collection_id, what, upstream_id, parent_id, reason, attempts, retry_at, first_at)
values ($1, $2, $3, $8, $4, $5, 'it may have changed twice within a moment', 0, $6, $7)
on conflict (stream_id, sync_id, collection_id, what, upstream_id)
do update set
  retry_at = case when set_aside.retry_at <= $7 then excluded.retry_at
    else least(set_aside.retry_at, excluded.retry_at) end

-- name: name_hint
-- A webhook names a record: it is fetched at once, also where it had been set aside.
insert into set_aside
  (stream_id, sync_id, collection_id, what, upstream_id, parent_id, reason, attempts, retry_at, first_at, hint, forget)
values ($1, $2, $3, 'record', $4, $5, 'a webhook named it', 0, $6, $6, true, $7)
on conflict (stream_id, sync_id, collection_id, what, upstream_id)
do update set retry_at = excluded.retry_at, hint = true, forget = set_aside.forget or excluded.forget, looks = 0,
  parent_id = coalesce(excluded.parent_id, set_aside.parent_id)

-- name: look_again
-- What a webhook named is looked at again at $7, unless it was set aside, or named, anew meanwhile.
update set_aside set looks = looks + 1, retry_at = $7
where stream_id = $1 and sync_id = $2 and collection_id = $3 and what = $4 and upstream_id = $5 and retry_at = $6

-- name: number_held
-- The number of a record's last change; none where it is not held.
select updated_idx from records where stream_id = $1 and record_id = $2

-- name: still_put_off
-- How many records that were put off at $4 or before are still to be fetched for the first time.
select count(*) from set_aside
where stream_id = $1 and sync_id = $2 and collection_id = any ($3::text[]) and attempts = 0 and looks = 0
  and first_at <= $4
