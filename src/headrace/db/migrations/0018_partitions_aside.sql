-- A partition (a repository, a base) that the provider refuses is set aside as a record is; upstream_id is then its id.
alter table set_aside drop constraint set_aside_what_check;
alter table set_aside add constraint set_aside_what_check check (what in ('record', 'children', 'partition'));
