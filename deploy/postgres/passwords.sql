-- The roles' passwords from the environment, after roles.sql.
\getenv owner POSTGRES_OWNER_PASSWORD
\getenv writer POSTGRES_WRITER_PASSWORD
\getenv reader POSTGRES_READER_PASSWORD
alter role nostro_owner password :'owner';
alter role nostro_writer password :'writer';
alter role nostro_reader password :'reader';
