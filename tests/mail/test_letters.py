"""Every kind of mail can be written in every language, from exactly what it says it needs."""

from __future__ import annotations

import re
import threading
import time
import uuid

import pytest
from flask import Flask

from portal.core.db import db, release, transaction
from portal.mail.kinds import SHAPES
from portal.mail.languages import LANGUAGES
from portal.mail.models import Mail, MailboxMessage, MailKind
from portal.mail.outbox import ClaimedMail, forget_old_mail
from portal.mail.rendering import render_mail
from portal.mail.sending import send_next_mail
from portal.mail.service import queue_mail
from portal.mail.transport import MailboxTransport
from portal.settings import get_settings
from portal.workers.postman import post_until

SAMPLES = {
    "invited_by": "Ann",
    "expires_at": "2026-11-23T12:30:00+00:00",
    "at": "2026-11-23T12:30:00+00:00",
    "ip": "192.0.2.7",
    "device": "Firefox, Linux",
    "order": "ord_x",
    "amount": "1500.00 RUB",
    "subject": "Boris",
    "asked_by": "Ann",
    "store": "Acme",
    "pair": "USDT/RUB",
    "trader": "Tara",
    "most": "5",
    "url": "https://shop.example.com/hook",
    "link": "/somewhere/here",
}
CODES = {MailKind.APPROVAL_WANTED: "completion", MailKind.SECURITY_CHANGED: "password_changed"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", MailKind)
def test_a_letter_of_each_kind_in_each_language(app: Flask, kind: MailKind, language: str) -> None:
    params = {name: SAMPLES.get(name, CODES.get(kind, "")) for name in SHAPES[kind].names}
    mail = ClaimedMail(uuid.uuid4(), uuid.uuid4(), kind, "anna@example.com", language, params, None, 1)
    letter = render_mail(mail)
    assert letter.subject.strip()
    assert f"{get_settings().public_url}/somewhere/here" in letter.text
    assert f'href="{get_settings().public_url}/somewhere/here"' in letter.html
    assert f'<html lang="{language}">' in letter.html
    for whole in (letter.text, letter.html, letter.subject):
        assert not re.search(r"%\(|{{|{%|None|Undefined", whole)
    read = {"amount": {"en": "1,500.00 RUB", "ru": "1 500,00 RUB"}[language]}
    said = f"{letter.subject}\n{letter.text}".replace("\xa0", " ")
    for name, value in (params | {name: read[name] for name in read if name in params}).items():
        if name not in {"expires_at", "at", "what", "link"}:
            assert value in said, f"{name} is asked for and not told"


def test_the_postman_carries_what_is_committed_and_stops_when_told(committed_db: Flask) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=post_until, args=(committed_db, stop))
    thread.start()
    with transaction():
        mail_id = queue_mail("anna@example.com", MailKind.PASSWORD_RESET, "en", {
            "expires_at": SAMPLES["expires_at"], "link": "/reset/x",
        })  # fmt: skip
    arrived = db.select(MailboxMessage).where(MailboxMessage.recipient == "anna@example.com")
    ends_at = time.monotonic() + 10
    while db.session.scalar(arrived) is None and time.monotonic() < ends_at:
        db.session.rollback()
        time.sleep(0.05)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    db.session.rollback()
    assert db.session.get_one(Mail, mail_id).state == "sent"


@pytest.mark.races
def test_several_postmen_carry_each_letter_once(committed_db: Flask) -> None:
    receivers = {f"{number}@several.example" for number in range(30)}
    with transaction():
        for receiver in receivers:
            params = {"expires_at": SAMPLES["expires_at"], "link": "/reset/x"}
            queue_mail(receiver, MailKind.PASSWORD_RESET, "en", params)

    def carry() -> None:
        with committed_db.app_context():
            transport = MailboxTransport()
            while send_next_mail(transport):
                pass
            release()

    threads = [threading.Thread(target=carry) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    arrived = db.select(MailboxMessage.recipient).where(MailboxMessage.recipient.like("%@several.example"))
    assert sorted(db.session.scalars(arrived)) == sorted(receivers)


def test_mail_that_was_done_with_long_ago_is_forgotten(app: Flask) -> None:
    def queue(state: str, days: int) -> uuid.UUID:
        with transaction():
            mail_id = queue_mail("anna@example.com", MailKind.NEW_ORDER, "en", {
                "order": "ord_x", "amount": "1 RUB", "link": "/",
            })  # fmt: skip
            db.session.execute(
                db.text(
                    "UPDATE mail SET state = :state, done_at = now() - make_interval(days => CAST(:days AS int)) WHERE id = :id"
                ),
                {"state": state, "days": days, "id": mail_id},
            )
        return mail_id

    kept = {queue("sent", 1), queue("dead", 29)}
    queue("sent", 31)
    queue("dead", 31)
    with transaction():
        assert forget_old_mail(limit=10) == 2
    assert set(db.session.scalars(db.select(Mail.id))) == kept
