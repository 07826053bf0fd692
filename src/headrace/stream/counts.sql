-- name: add
-- What an append or a removal changed, by collection.
insert into record_counts (stream_id, sync_id, collection_id, change_id, living)
select $1, $2, u.collection_id, $3, u.living from unnest($4::text[], $5::bigint[]) u (collection_id, living)

-- name: living
select collection_id, sum(living)::bigint as living from record_counts
where stream_id = $1 and sync_id = $2 group by collection_id

-- name: forget
-- A purge begins: nothing that stands now counts any more.
delete from record_counts where stream_id = $1 and sync_id = $2 and ($3::text is null or collection_id = $3)

-- name: crowded
-- Sums that have become long.
select sync_id, collection_id from record_counts where stream_id = $1
group by sync_id, collection_id having count(*) > $2

-- name: hold_epoch
-- Until the commit no purge begins; appends go on.
select 1 from sync_epochs where stream_id = $1 and sync_id = $2 and not deleted for share

-- name: take_rows
delete from record_counts where stream_id = $1 and sync_id = $2 and collection_id = $3
returning living
