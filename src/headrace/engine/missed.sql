-- name: candidates
-- Records held since before the sweep began that no pass of it has seen, by id, from behind $6. Where partitions come
-- as $8, only those of them, and where $9 is true those of which nobody knows the partition.
select r.record_id, r.upstream_id, r.parent_id, r.partition, r.version, r.as_of from records r
where r.stream_id = $1 and r.sync_id = $2 and r.collection_id = $3 and not r.deleted and r.updated_idx is not null
  and r.as_of < $4 and ($6::uuid is null or r.record_id > $6)
  and ($8::text[] is null or r.partition = any ($8::text[]) or (r.partition is null and $9::bool))
  and not exists (
    select 1 from sweep_seen s where s.stream_id = $1 and s.sweep_id = $5 and s.record_id = r.record_id)
order by r.record_id limit $7

-- name: count_candidates
-- How many of them there are.
select count(*) from records r
where r.stream_id = $1 and r.sync_id = $2 and r.collection_id = $3 and not r.deleted and r.updated_idx is not null
  and r.as_of < $4
  and ($6::text[] is null or r.partition = any ($6::text[]) or (r.partition is null and $7::bool))
  and not exists (
    select 1 from sweep_seen s where s.stream_id = $1 and s.sweep_id = $5 and s.record_id = r.record_id)

-- name: their_partitions
-- The partitions of all of them, as they were called when these records were read.
select distinct r.partition from records r
where r.stream_id = $1 and r.sync_id = $2 and r.collection_id = $3 and not r.deleted and r.updated_idx is not null
  and r.as_of < $4
  and not exists (
    select 1 from sweep_seen s where s.stream_id = $1 and s.sweep_id = $5 and s.record_id = r.record_id)
