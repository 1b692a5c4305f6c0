-- The three roles, and everything of Nostro in this database handed to the owner. Run as a superuser in Nostro's own
-- database, as often as you like, for a new installation and for one that ran as one role until now:
--   psql --dbname nostro --file roles.sql
-- Then give each a password (\password nostro_owner ...) and run `flask db upgrade`, which gives them their rights.
begin;
set local lock_timeout = '10s';
do $$
declare
  thing text;
begin
  foreach thing in array array['nostro_owner', 'nostro_writer', 'nostro_reader'] loop
    if not exists (select 1 from pg_roles where rolname = thing) then
      execute format('create role %I login', thing);
    end if;
  end loop;
  execute format('alter database %I owner to nostro_owner', current_database());
  -- A sequence of a column follows its table.
  for thing in
    select format('alter table %s owner to nostro_owner', oid::regclass) from pg_class
     where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relowner <> 'nostro_owner'::regrole
    union all
    select format('alter type %s owner to nostro_owner', oid::regclass) from pg_class
     where relnamespace = 'public'::regnamespace and relkind = 'c' and relowner <> 'nostro_owner'::regrole
    union all
    select format('alter function %s owner to nostro_owner', p.oid::regprocedure) from pg_proc p
     where p.pronamespace = 'public'::regnamespace and p.proowner <> 'nostro_owner'::regrole
       and not exists (select 1 from pg_depend d where d.objid = p.oid and d.deptype = 'e' and d.classid = 'pg_proc'::regclass)
  loop
    execute thing;
  end loop;
end $$;
commit;
