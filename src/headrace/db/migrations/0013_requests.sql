-- How many requests a reading took, beside its pages: a page may take several (children along their parents, the rest
-- of a sub-list), and what a backfill will cost is told in requests.
alter table checkpoints add column requests bigint not null default 0;
