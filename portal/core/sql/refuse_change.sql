-- For triggers of tables whose rows, or some of whose columns, nobody changes once they are written.
create or replace function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% on % is refused: its rows stay as they were written', tg_op, tg_table_name
    using errcode = '42501';
end $$;
