-- How many living records each collection of a sync has, as a sum: each append and each removal adds what it changed as
-- a row of its own, and housekeeping folds them (docs/decisions/002-positions-are-appended.md). A collection of which
-- any record is visible, if only a deleted one, has a row.

create table record_counts (
  stream_id uuid not null,
  sync_id uuid not null,
  collection_id text not null,
  change_id uuid not null,         -- of the append or the removal
  living bigint not null,          -- records that came to life, less those that were deleted or removed
  primary key (stream_id, sync_id, collection_id, change_id)
);

-- Grows with each chunk that retention removes of the sync: an append that compared before it begins anew.
alter table sync_epochs add column removals bigint not null default 0;

-- What is held already. Appends wait meanwhile.
lock table records in share mode;
insert into record_counts (stream_id, sync_id, collection_id, change_id, living)
select r.stream_id, r.sync_id, r.collection_id, '00000000-0000-0000-0000-000000000000',
  count(*) filter (where not r.deleted)
from records r
where r.updated_idx is not null
  and not exists (
    select from purges p
    where p.stream_id = r.stream_id and p.sync_id = r.sync_id and r.updated_idx <= p.up_to
      and (p.collection_id is null or p.collection_id = r.collection_id))
group by r.stream_id, r.sync_id, r.collection_id;
