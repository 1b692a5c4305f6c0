-- Whether somebody has a second factor is kept in their row, for the list of people, whoever changes it.
create or replace function note_second_factor() returns trigger language plpgsql as $$
DECLARE
  whose uuid := coalesce(NEW.user_id, OLD.user_id);
  has boolean := EXISTS (SELECT 1 FROM totp_factor WHERE user_id = whose AND confirmed_at IS NOT NULL)
    OR EXISTS (SELECT 1 FROM passkey WHERE user_id = whose AND set_aside_at IS NULL);
BEGIN
  UPDATE users SET has_second_factor = has WHERE id = whose AND has_second_factor <> has;
  RETURN NULL;
END $$;

create or replace trigger note_second_factor after insert or delete or update of confirmed_at on totp_factor
  for each row execute function note_second_factor();
create or replace trigger note_second_factor after insert or delete or update of set_aside_at on passkey
  for each row execute function note_second_factor();
