-- name: read_named
select dict_id, dict from payload_dicts where stream_id = $1 and dict_id = any ($2::int[])

-- name: read_own
-- The dictionaries of these collections of a sync.
select collection_id, dict_id, dict from payload_dicts
where stream_id = $1 and sync_id = $2 and collection_id = any ($3::text[])

-- name: read_samples
-- Every $5th of the collection's last $4 records, but for those that are too large for a dictionary, up to $6 bytes.
select s.codec, s.data
from (
  select n.codec, n.data, sum(n.size) over (order by n.place rows unbounded preceding) as total
  from (
    select l.codec, l.data, l.size, row_number() over (order by l.updated_idx desc) as place
    from (
      select r.codec, r.data, r.size, r.updated_idx from records r
      where r.stream_id = $1 and r.sync_id = $2 and r.collection_id = $3 and r.updated_idx is not null
      order by r.updated_idx desc
      limit $4
    ) l
  ) n
  where n.place % $5 = 0 and n.size <= $7 and n.codec <> 2
) s
where s.total <= $6

-- name: insert_dictionary
-- The first that was made stays.
insert into payload_dicts (stream_id, dict_id, sync_id, collection_id, dict) values ($1, $2, $3, $4, $5)
on conflict do nothing
