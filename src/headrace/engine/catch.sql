-- name: count_held
-- How many records of a collection are held.
select count(*) from records
where stream_id = $1 and sync_id = $2 and collection_id = $3 and not deleted and updated_idx is not null

-- name: held_of
-- Those of these records that are held.
select record_id from records
where stream_id = $1 and record_id = any ($2::uuid[]) and not deleted and updated_idx is not null

-- name: children_of
-- The held children of these parents.
select record_id from records
where stream_id = $1 and sync_id = $2 and collection_id = $3 and parent_id = any ($4::text[]) and not deleted
  and updated_idx is not null

-- name: hold
-- Hold deletes, in place of what was held before.
insert into held_deletes (stream_id, sync_id, collection_id, sweep_id, held, record_ids, held_at)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (stream_id, sync_id, collection_id)
do update set sweep_id = excluded.sweep_id, held = excluded.held, record_ids = excluded.record_ids,
              held_at = excluded.held_at

-- name: hold_more
-- Hold deletes beside those that are held already.
insert into held_deletes (stream_id, sync_id, collection_id, sweep_id, held, record_ids, held_at)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (stream_id, sync_id, collection_id)
do update set sweep_id = excluded.sweep_id, held = excluded.held, held_at = excluded.held_at,
              record_ids = array(select unnest(held_deletes.record_ids) union select unnest(excluded.record_ids))

-- name: release
-- Nothing of the collection is held back any more.
delete from held_deletes where stream_id = $1 and sync_id = $2 and collection_id = $3

-- name: held_deletes
-- What is held back of a collection, locked until it is decided.
select sweep_id, record_ids, held_at from held_deletes
where stream_id = $1 and sync_id = $2 and collection_id = $3
for update

-- name: held_collections
-- What the safety catch holds back of a sync.
select collection_id, sweep_id, held, cardinality(record_ids) as count from held_deletes
where stream_id = $1 and sync_id = $2

-- name: still_there
-- Those of the held deletes that no later reading has seen, with the version to overcome.
select upstream_id, version, parent_id, partition from records
where stream_id = $1 and sync_id = $2 and collection_id = $3 and record_id = any ($4::uuid[])
  and not deleted and as_of < $5
