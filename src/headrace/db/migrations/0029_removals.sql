-- How often records have been taken away from the stream by a purge or by age, so that whoever keeps a count of what
-- waits knows that it may be too high. It stands where each turn of a consumer looks anyway. See decision 004.
alter table stream_heads add column removals bigint not null default 0;
