-- A turn commits without waiting for the disk, so a crash may take it, and another turn gets its number. The mark, drawn
-- anew for each, tells a process that knows the state as of the one that it is not the other. See decision 004.
alter table consumer_positions add column mark bigint not null default 0;
