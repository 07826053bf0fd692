-- Ways to what leaves the log, and how often vacuum comes. See docs/decisions/015-retention.md.

-- Found by age, oldest first. What never ages is not in it.
create index records_age on records (stream_id, sync_id, greatest(upstream_created_at, upstream_updated_at))
  where updated_idx is not null and (upstream_created_at is not null or version <> 0);
create index records_deleted on records (stream_id, sync_id, appended_at) where deleted;
