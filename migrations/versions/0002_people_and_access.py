"""people and access"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0002'
down_revision = '0001'


def upgrade() -> None:
    op.create_unique_constraint(op.f('uq_store_id_merchant_id'), 'store', ['id', 'merchant_id'])
    op.create_table('factor_attempt',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('user_id', sa.UUID(), nullable=False),
    sa.Column('ip', postgresql.INET(), nullable=True),
    sa.Column('succeeded', sa.Boolean(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_factor_attempt_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_factor_attempt'))
    )
    op.create_index('ix_factor_attempt_user_id_at', 'factor_attempt', ['user_id', 'at'], unique=False)
    op.create_index('ix_factor_attempt_at', 'factor_attempt', ['at'], unique=False, postgresql_using='brin')
    op.create_index('ix_sign_in_attempt_at', 'sign_in_attempt', ['at'], unique=False, postgresql_using='brin')
    op.create_table('invitation',
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('token_hash', sa.LargeBinary(), nullable=False),
    sa.Column('email', sa.Text(), nullable=False),
    sa.Column('roles', sa.ARRAY(sa.Text()), nullable=False),
    sa.Column('merchant_id', sa.UUID(), nullable=True),
    sa.Column('member_role', sa.Text(), nullable=True),
    sa.Column('team_id', sa.UUID(), nullable=True),
    sa.Column('store_ids', sa.ARRAY(sa.Uuid()), server_default='{}', nullable=False),
    sa.Column('locale', sa.Text(), server_default='en', nullable=False),
    sa.Column('invited_by_kind', sa.Text(), nullable=False),
    sa.Column('invited_by_id', sa.Uuid(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('accepted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('user_id', sa.UUID(), nullable=True),
    sa.CheckConstraint("(merchant_id IS NOT NULL) = ('merchant' = ANY (roles))", name=op.f('ck_invitation_merchant_role')),
    sa.CheckConstraint("invited_by_kind IN ('customer', 'merchant', 'trader', 'lead', 'support', 'admin', 'system', 'ops')", name=op.f('ck_invitation_invited_by_kind')),
    sa.CheckConstraint("member_role IS NULL OR member_role IN ('owner', 'developer', 'accountant', 'viewer')", name=op.f('ck_invitation_member_role')),
    sa.CheckConstraint('(merchant_id IS NULL) = (member_role IS NULL)', name=op.f('ck_invitation_member_of_a_merchant')),
    sa.CheckConstraint('cardinality(roles) > 0', name=op.f('ck_invitation_has_roles')),
    sa.CheckConstraint('email = lower(email)', name=op.f('ck_invitation_email_lower')),
    sa.CheckConstraint("team_id IS NULL OR 'trader' = ANY (roles)", name=op.f('ck_invitation_team_of_a_trader')),
    sa.ForeignKeyConstraint(['merchant_id'], ['merchant.id'], name=op.f('fk_invitation_merchant_id')),
    sa.ForeignKeyConstraint(['team_id'], ['team.id'], name=op.f('fk_invitation_team_id')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_invitation_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_invitation')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_invitation_token_hash'))
    )
    op.create_index('ix_invitation_email', 'invitation', ['email'], unique=False)
    op.create_table('passkey',
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('user_id', sa.UUID(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('credential_id', sa.LargeBinary(), nullable=False),
    sa.Column('public_key', sa.LargeBinary(), nullable=False),
    sa.Column('sign_count', sa.BigInteger(), nullable=False),
    sa.Column('transports', sa.ARRAY(sa.Text()), server_default='{}', nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('last_used_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('set_aside_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('sign_count >= 0', name=op.f('ck_passkey_sign_count')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_passkey_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_passkey')),
    sa.UniqueConstraint('credential_id', name=op.f('uq_passkey_credential_id'))
    )
    op.create_index('ix_passkey_user_id', 'passkey', ['user_id'], unique=False)
    op.create_table('password_reset',
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('token_hash', sa.LargeBinary(), nullable=False),
    sa.Column('user_id', sa.UUID(), nullable=False),
    sa.Column('ip', postgresql.INET(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_password_reset_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_password_reset')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_password_reset_token_hash'))
    )
    op.create_index('ix_password_reset_user_id', 'password_reset', ['user_id'], unique=False)
    op.create_table('recovery_code',
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('user_id', sa.UUID(), nullable=False),
    sa.Column('code_hash', sa.LargeBinary(), nullable=False),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_recovery_code_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_recovery_code')),
    sa.UniqueConstraint('user_id', 'code_hash', name=op.f('uq_recovery_code_user_id_code_hash'))
    )
    op.create_table('totp_factor',
    sa.Column('user_id', sa.UUID(), nullable=False),
    sa.Column('secret_encrypted', sa.LargeBinary(), nullable=False),
    sa.Column('last_step', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('confirmed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_totp_factor_user_id')),
    sa.PrimaryKeyConstraint('user_id', name=op.f('pk_totp_factor'))
    )
    op.create_table('merchant_member_store',
    sa.Column('merchant_id', sa.Uuid(), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('store_id', sa.Uuid(), nullable=False),
    sa.ForeignKeyConstraint(['merchant_id', 'user_id'], ['merchant_member.merchant_id', 'merchant_member.user_id'], name='fk_merchant_member_store_member', ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['store_id', 'merchant_id'], ['store.id', 'store.merchant_id'], name='fk_merchant_member_store_store'),
    sa.PrimaryKeyConstraint('merchant_id', 'user_id', 'store_id', name=op.f('pk_merchant_member_store'))
    )
    op.create_table('passkey_challenge',
    sa.Column('session_id', sa.UUID(), nullable=False),
    sa.Column('purpose', sa.Text(), nullable=False),
    sa.Column('challenge', sa.LargeBinary(), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("purpose IN ('enrol', 'second_factor', 'sudo')", name=op.f('ck_passkey_challenge_purpose')),
    sa.ForeignKeyConstraint(['session_id'], ['user_session.id'], name=op.f('fk_passkey_challenge_session_id')),
    sa.PrimaryKeyConstraint('session_id', 'purpose', name=op.f('pk_passkey_challenge'))
    )
    op.add_column('merchant_member', sa.Column('role', sa.Text(), server_default='owner', nullable=False))
    op.add_column('merchant_member', sa.Column('has_all_stores', sa.Boolean(), server_default=sa.text('true'), nullable=False))
    op.add_column('merchant_member', sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False))
    op.add_column('user_role', sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False))
    op.add_column('user_session', sa.Column('stage', sa.Text(), server_default='open', nullable=False))
    op.add_column('user_session', sa.Column('second_factor_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('user_session', sa.Column('sudo_until', sa.DateTime(timezone=True), nullable=True))
    op.add_column('user_session', sa.Column('factor_failures', sa.SmallInteger(), server_default='0', nullable=False))
    op.create_check_constraint(op.f('ck_user_session_stage'), 'user_session', "stage IN ('second_factor', 'open')")
    op.create_check_constraint(op.f('ck_user_session_half_has_no_sudo'), 'user_session', "stage = 'open' OR sudo_until IS NULL")
    op.create_check_constraint(op.f('ck_merchant_member_role'), 'merchant_member', "role IN ('owner', 'developer', 'accountant', 'viewer')")
    op.add_column('users', sa.Column('password_changed_at', sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column('users', 'password_changed_at')
    op.drop_constraint(op.f('ck_user_session_half_has_no_sudo'), 'user_session', type_='check')
    op.drop_column('user_session', 'factor_failures')
    op.drop_column('user_session', 'sudo_until')
    op.drop_column('user_session', 'second_factor_at')
    op.drop_column('user_session', 'stage')
    op.drop_column('user_role', 'created_at')
    op.drop_column('merchant_member', 'created_at')
    op.drop_column('merchant_member', 'has_all_stores')
    op.drop_column('merchant_member', 'role')
    op.drop_table('passkey_challenge')
    op.drop_table('merchant_member_store')
    op.drop_table('totp_factor')
    op.drop_table('recovery_code')
    op.drop_index('ix_password_reset_user_id', table_name='password_reset')
    op.drop_table('password_reset')
    op.drop_index('ix_passkey_user_id', table_name='passkey')
    op.drop_table('passkey')
    op.drop_index('ix_invitation_email', table_name='invitation')
    op.drop_table('invitation')
    op.drop_index('ix_sign_in_attempt_at', table_name='sign_in_attempt', postgresql_using='brin')
    op.drop_index('ix_factor_attempt_at', table_name='factor_attempt', postgresql_using='brin')
    op.drop_index('ix_factor_attempt_user_id_at', table_name='factor_attempt')
    op.drop_table('factor_attempt')
    op.drop_constraint(op.f('uq_store_id_merchant_id'), 'store', type_='unique')
