-- Dictionaries that payloads are packed with belong to a collection of one sync, and go with it. The frame of a payload
-- names its dictionary, so that no row has to. See docs/decisions/016-dictionaries.md.
alter table payload_dicts add column sync_id uuid not null;
create unique index payload_dicts_collection on payload_dicts (stream_id, sync_id, collection_id);
alter table records drop column dict_id;
alter table events drop column dict_id;
