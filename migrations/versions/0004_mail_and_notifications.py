"""mail and notifications"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table('mail',
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('recipient', sa.Text(), nullable=False),
    sa.Column('locale', sa.Text(), nullable=False),
    sa.Column('params', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('secret_encrypted', sa.LargeBinary(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('state', sa.Text(), server_default='pending', nullable=False),
    sa.Column('next_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('attempts', sa.Integer(), server_default='0', nullable=False),
    sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('lease_token', sa.UUID(), nullable=True),
    sa.Column('last_error', sa.Text(), nullable=True),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("kind IN ('invitation', 'password_reset', 'new_device', 'dispute_opened', 'approval_wanted', 'endpoint_disabled', 'new_order', 'security_changed')", name=op.f('ck_mail_kind')),
    sa.CheckConstraint("state <> 'sent' OR secret_encrypted IS NULL", name=op.f('ck_mail_sent_has_no_secret')),
    sa.CheckConstraint("state IN ('pending', 'sent', 'dead')", name=op.f('ck_mail_state')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_mail'))
    )
    op.create_index('ix_mail_done_at', 'mail', ['done_at'], unique=False, postgresql_where=sa.text("state <> 'pending'"))
    op.create_index('ix_mail_next_at', 'mail', ['next_at'], unique=False, postgresql_where=sa.text("state = 'pending'"))
    op.create_table('mailbox_message',
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('recipient', sa.Text(), nullable=False),
    sa.Column('subject', sa.Text(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('html', sa.Text(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_mailbox_message'))
    )
    op.create_index('ix_mailbox_message_at', 'mailbox_message', ['at'], unique=False)
    op.create_table('notification',
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('user_id', sa.UUID(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('about', sa.Text(), nullable=False),
    sa.Column('params', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('link', sa.Text(), nullable=False),
    sa.Column('is_in_app', sa.Boolean(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('read_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("kind IN ('new_order', 'dispute_opened', 'approval_wanted', 'endpoint_disabled', 'new_device')", name=op.f('ck_notification_kind')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_notification_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_notification')),
    sa.UniqueConstraint('user_id', 'kind', 'about', name='uq_notification_user_kind_about')
    )
    op.create_index('ix_notification_about', 'notification', ['about'], unique=False, postgresql_where=sa.text('is_in_app AND read_at IS NULL'))
    op.create_index('ix_notification_created_at', 'notification', ['created_at'], unique=False, postgresql_using='brin')
    op.create_index('ix_notification_unread', 'notification', ['user_id'], unique=False, postgresql_where=sa.text('is_in_app AND read_at IS NULL'))
    op.create_index('ix_notification_user_id', 'notification', ['user_id', 'id'], unique=False, postgresql_where=sa.text('is_in_app'))
    op.create_table('notification_choice',
    sa.Column('user_id', sa.UUID(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('in_app', sa.Boolean(), nullable=False),
    sa.Column('by_mail', sa.Boolean(), nullable=False),
    sa.CheckConstraint("kind IN ('new_order', 'dispute_opened', 'approval_wanted', 'endpoint_disabled', 'new_device')", name=op.f('ck_notification_choice_kind')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_notification_choice_user_id')),
    sa.PrimaryKeyConstraint('user_id', 'kind', name=op.f('pk_notification_choice'))
    )


def downgrade() -> None:
    op.drop_table('notification_choice')
    op.drop_table('notification')
    op.drop_table('mailbox_message')
    op.drop_table('mail')
