-- A watched row became something else: its key and the digest of its watched columns go into change_image. Arguments:
-- the key's columns, the watched columns, each with commas. JSON objects of PostgreSQL have one order of keys.
create or replace function note_change() returns trigger language plpgsql
  set timezone = 'UTC' set bytea_output = 'hex' as $$
declare
  now_row jsonb;
  old_key text;
  new_key text;
begin
  if tg_op <> 'INSERT' then
    select string_agg(to_jsonb(old) ->> c, '/' order by n) into old_key
      from unnest(string_to_array(tg_argv[0], ',')) with ordinality as k (c, n);
  end if;
  if tg_op <> 'DELETE' then
    now_row := to_jsonb(new);
    select string_agg(now_row ->> c, '/' order by n) into new_key
      from unnest(string_to_array(tg_argv[0], ',')) with ordinality as k (c, n);
  end if;
  if old_key is distinct from new_key and old_key is not null then
    insert into change_image (table_name, row_key, digest) values (tg_table_name, old_key, null);
  end if;
  if new_key is not null then
    insert into change_image (table_name, row_key, digest)
    select tg_table_name, new_key, sha256(convert_to(jsonb_object_agg(c, now_row -> c)::text, 'UTF8'))
      from unnest(string_to_array(tg_argv[1], ',')) as c;
  end if;
  return null;
end $$;

create or replace trigger change_image_stays before update or delete on change_image
  for each row execute function refuse_change();
create or replace trigger change_image_stays_whole before truncate on change_image
  for each statement execute function refuse_change();
create or replace trigger chain_link_stays before update or delete on chain_link
  for each row execute function refuse_change();
create or replace trigger chain_link_stays_whole before truncate on chain_link
  for each statement execute function refuse_change();
