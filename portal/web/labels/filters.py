"""What templates call things by: each a filter."""

from __future__ import annotations

from flask import Flask

from portal.web.labels import (
    delivery_states,
    directions,
    dispute_outcomes,
    kyc,
    ledger,
    modes,
    notifications,
    order_status,
    person_states,
    queue_names,
    reaches,
    reasons,
    requisite_states,
    risk_actions,
    roles,
    verdicts,
)


def register(app: Flask) -> None:
    app.jinja_env.filters.update(
        account_kind_words=ledger.account_kind_words,
        account_words=ledger.account_words,
        decision_words=risk_actions.risk_pill,
        delivery_pill=delivery_states.delivery_pill,
        direction_words=directions.direction_words,
        dispute_outcome_pill=dispute_outcomes.dispute_outcome_pill,
        document_words=kyc.document_words,
        entry_words=ledger.entry_words,
        fell_words=verdicts.fell_words,
        member_role_name=roles.member_role_name,
        mode_in_a_line=modes.mode_in_a_line,
        notification_words=notifications.choice_words,
        order_reason=reasons.reason_words,
        outcome_pill=kyc.outcome_pill,
        queue_sentence=queue_names.queue_sentence,
        queue_words=queue_names.queue_words,
        reach_words=reaches.reach_words,
        requisite_pill=requisite_states.state_pill,
        role_names=roles.role_names,
        shown_status=order_status.shown_status,
        status_pill=order_status.status_pill,
        trader_pill=kyc.trader_pill,
        trader_state_pill=person_states.trader_state_pill,
        traders_account_words=ledger.traders_account_words,
    )
