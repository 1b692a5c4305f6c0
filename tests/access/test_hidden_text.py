"""No form, call, address or command brings in text that people can't see as it is, and no terminal obeys one."""

from __future__ import annotations

import inspect
import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import click
import pytest
from flask import Flask
from pydantic import BaseModel
from werkzeug.datastructures import MultiDict
from wtforms import PasswordField, SelectField, StringField, TextAreaField

from portal.api.openapi import declared_routes
from portal.api.validation import validated
from portal.core.db import hot, transaction
from portal.core.errors import ValidationFailed
from portal.core.modes import Mode
from portal.core.text_rules import is_clean
from portal.identity.models import Role
from portal.identity.tokens.api_keys import issue_api_key
from portal.web.ui import error_pages
from portal.web.ui.forms import PageForm
from tests.access.test_matrix import guarded, is_admitted
from tests.access.world import World
from tests.web.desk import Browser, Desk, new_user, open_desk

HIDDEN = {
    "NUL": "a\0b", "ESC": "a\x1b]0;owned\x07b", "a C1 control": "a\x9bb", "a right-to-left override": "a\u202eb",
    "an isolate": "a\u2066b\u2069", "a mark of direction": "a\u200fb", "a zero-width space": "a\u200bb",
    "a byte order mark": "\ufeffab", "a joiner in Latin letters": "pay\u200dpal", "a joiner at the end": "\u0645\u200c",
    "a soft hyphen": "a\u00adb", "a blank letter": "a\u3164b", "a tag": "a\U000e0041b", "a line separator": "a\u2028b",
    "a variation selector": "a\ufe0fb",
}  # fmt: skip
# More of it, for the rule alone: nothing of this has a width or shows anything.
BLANK = {
    **{f"{char:04x} in Latin letters": f"a{chr(char)}b" for char in (
        0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180D, 0x180E, 0x180F, 0x2065, 0x2800, 0x3164, 0xFE00, 0xFE0E,
        0xFE0F, 0xFFA0, 0xFFF0, 0xFFF9, 0x1BCA0, 0x1D159, 0x1D173, 0xE0000, 0xE0001, 0xE0020, 0xE007F, 0xE0100, 0xE01EF,
        0xE0FFF,
    )},
    **{f"{char:04x} in Cyrillic letters": f"Ив{chr(char)}ан" for char in (0x200C, 0x200D, 0xFE0F, 0xFE01, 0xE0100)},
    "a joiner between Arabic letters that join anyway": "\u0645\u200d\u06cc", "a joiner in Hebrew": "\u05d0\u200d\u05d1",
    "a joiner of Hindi letters without a virama": "\u0915\u200d\u0937", "a virama joined to nothing": "\u0915\u094d\u200d",
    "a virama joined to Latin": "\u0915\u094d\u200da", "a non-joiner from Persian to Latin": "\u06cc\u200ca",
    **{f"a non-joiner after {name}, which joins nothing": f"{char}\u200c\u0628" for name, char in {
        "alef": "\u0627", "dal": "\u062f", "reh": "\u0631", "waw": "\u0648", "hamza": "\u0621", "a Syriac dalath": "\u0715",
        "a presentation form": "\ufe8f",
    }.items()},
    "a non-joiner between Arabic digits": "\u0661\u200c\u0662", "a non-joiner between Persian digits": "\u06f1\u200c\u06f2",
    "a non-joiner before a digit": "\u0628\u200c\u0661", "a non-joiner after a vowel's mark": "\u0628\u064e\u200c\u0628",
    "an emoji mark alone": "\ufe0f", "an emoji mark at the beginning": "\ufe0fa", "an emoji mark twice": "\u2764\ufe0f\ufe0f",
    "an emoji mark after a digit": "1\ufe0f", "an emoji mark after a Chinese letter": "\u845b\ufe0f",
    "a text mark after an emoji": "\u2764\ufe0e", "an emoji joined to a letter": "\U0001f468\u200dИ",
    "a letter joined to an emoji": "И\u200d\U0001f468", "an emoji joined to nothing": "\U0001f468\u200d",
    "an emoji joined twice": "\U0001f468\u200d\u200d\U0001f469", "emoji parted by a non-joiner": "\U0001f468\u200c\U0001f469",
    "a flag with tags": "\U0001f3f4\U000e0067\U000e0062\U000e007f",
}  # fmt: skip
SEEN = (
    "Anna", "Иван Петров", "Артём Ёлкин-Щукин", "O\u2019Brien", "Zoë", "e\u0301", "1\u00a0500,00 \u20bd", "北京", "김민준",
    # Persian: a name, and a word that is parted; Hindi: names, conjuncts with both joiners
    "\u0645\u062d\u0645\u062f\u0631\u0636\u0627", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "\u0936\u094d\u0930\u0940\u0928\u093f\u0935\u093e\u0938", "\u0915\u094d\u200d\u0937", "\u0915\u094d\u200c\u0937",
    # Bengali, Malayalam and Sinhala, which need a joiner
    "\u09b0\u200d\u09cd\u09af\u09be\u09ac", "\u0d05\u0d35\u0d28\u0d4d\u200d\u0d31\u0d46", "\u0dc1\u0dca\u200d\u0dbb\u0dd3",
    # a family, a heart on fire, a rainbow flag, a woman with a laptop and a dark skin, a couple, somebody who goes
    "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u2764\ufe0f\u200d\U0001f525", "\U0001f3f3\ufe0f\u200d\U0001f308",
    "\U0001f469\U0001f3ff\u200d\U0001f4bb", "\U0001f469\u200d\u2764\ufe0f\u200d\U0001f468", "\U0001f6b6\u200d\u2640\ufe0f",
    # a keycap, a flag of two letters, copyright, a smile as a text and as a picture
    "1\ufe0f\u20e3 #\ufe0f\u20e3", "\U0001f1e9\U0001f1ea", "\u00a9\ufe0f", "\u263a \u263a\ufe0f \U0001f600",
)  # fmt: skip


@pytest.fixture
def app(committing_app: Flask) -> Iterator[Flask]:
    with committing_app.app_context():
        yield committing_app


@pytest.fixture
def desk(app: Flask) -> Desk:
    return open_desk(app)


@pytest.mark.proves("tried S14")
def test_what_hides_is_no_text_and_what_people_write_is() -> None:
    assert [name for name, text in (HIDDEN | BLANK).items() if is_clean(text, lines=True)] == []
    assert not is_clean("\ud800")
    assert [text for text in SEEN if not is_clean(text)] == []
    assert is_clean("one\r\n\ttwo", lines=True)
    assert not is_clean("one\ntwo")


@pytest.mark.proves("tried S14")
def test_every_form_of_every_portal_refuses_what_hides(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        error_pages, "render_template", lambda _name, **said: f"{said['title']}\n{said['detail']}"
    )
    world, wrong, walked, texts = World(app), [], 0, list(HIDDEN.values())
    for rule, method, permission in guarded(app):
        visitor = next((v for v in world.visitors.values() if is_admitted(v, rule, permission)), None)
        if method != "POST" or visitor is None:
            continue
        path = world.path(rule, visitor.name)
        for field in ("reason", "name", "whatever"):
            text = texts[walked % len(texts)]
            answer = visitor.open(method, path, {field: text})
            walked += 1
            if answer.status_code != 422 or "can't be seen" not in answer.text:
                wrong.append(f"{visitor.name}: {rule.rule} {field}={text!r}: {answer.status}")
    assert wrong == [], "\n".join(wrong)
    assert walked > 100


def forms(of: type[PageForm] = PageForm) -> Iterator[type[PageForm]]:
    for form in of.__subclasses__():
        yield form
        yield from forms(form)


@pytest.mark.proves("tried S14")
def test_every_text_field_of_every_form_says_what_is_wrong_with_it(app: Flask) -> None:
    walked = 0
    with app.test_request_context():
        for kind in forms():
            options = inspect.signature(kind.__init__).parameters
            if {"sent", "order"} & options.keys():
                continue  # about an order: walked over HTTP above
            extra = {"currency": "RUB"} if "currency" in options else {}
            for field in kind(**extra):
                if not isinstance(field, StringField) or isinstance(field, PasswordField | TextAreaField):
                    continue
                for text in ("two\nlines", "a\u202eb", "a\0b"):
                    filled = kind(MultiDict({field.name: text}), **extra)
                    for choice in (one for one in filled if isinstance(one, SelectField)):
                        choice.choices = choice.choices or []
                    assert not filled.validate()
                    assert "line break" in str(filled[field.name].errors[-1]), (kind, field.name)
                    walked += 1
    assert walked > 40


def models(app: Flask) -> set[type[BaseModel]]:
    """Every schema of what the API takes, with those inside."""
    found: set[type[BaseModel]] = set()
    waiting = [m for _, _, declared in declared_routes(app) for m in (declared.body, declared.query) if m]
    while waiting:
        model = waiting.pop()
        found.add(model)
        for field in model.model_fields.values():
            inner = [
                t
                for t in (field.annotation, *getattr(field.annotation, "__args__", ()))
                if isinstance(t, type)
            ]
            waiting += [t for t in inner if issubclass(t, BaseModel) and t not in found]
    return found


@pytest.mark.proves("tried S14")
def test_every_text_of_every_schema_refuses_what_hides(app: Flask) -> None:
    wrong, walked = [], 0
    for model in models(app):
        for name, field in model.model_fields.items():
            if name == "password" or "str" not in str(field.annotation):
                continue
            values: list[Any] = [HIDDEN["a right-to-left override"], HIDDEN["ESC"]]
            if "dict" in str(field.annotation):
                values = [{"key": values[0]}, {values[0]: "value"}]
            elif "list" in str(field.annotation):
                values = [[value] for value in values]
            for value in values:
                walked += 1
                with pytest.raises(ValidationFailed) as refused:
                    validated(model, {name: value})
                if not any(problem.field.startswith(name) for problem in refused.value.errors):
                    wrong.append(f"{model.__name__}.{name}: {value!r}")
    assert wrong == []
    assert walked > 40


@pytest.mark.proves("tried S14")
@pytest.mark.parametrize("name", HIDDEN)
def test_neither_the_account_nor_an_order_takes_what_hides(desk: Desk, name: str) -> None:
    text = HIDDEN[name]
    user = new_user(Role.MERCHANT)
    browser = Browser(desk.app.test_client())
    browser.sign_in(user.email)
    fields = {"name": text, "language": "en", "timezone": "UTC", "theme": "auto", "density": "compact"}
    assert browser.post("/account", fields, htmx=False).status_code == 422
    with transaction():
        assert hot("SELECT name FROM users WHERE id = %(id)s", {"id": user.id})[0]["name"] == user.name
        _, key = issue_api_key(desk.scene.store_id, Mode.LIVE, "a key")
    body = {"direction": "payin", "amount": "1500.00", "currency": "RUB"}
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    for sent in (
        {"description": text},
        {"external_id": text},
        {"customer": {"name": text}},
        {"metadata": {"a": text}},
    ):
        answer = desk.app.test_client().post(
            "/api/v1/orders",
            data=json.dumps(body | sent),
            headers=headers | {"Idempotency-Key": uuid.uuid4().hex},
        )
        assert answer.status_code in {400, 422}
        assert "invalid_character" in answer.text
    listed = desk.app.test_client().get("/api/v1/orders", query_string={"external_id": text}, headers=headers)
    assert listed.status_code == 422
    assert browser.client.get("/sign-in", query_string={"next": text}).status_code == 400


def leaves(commands: Mapping[str, click.Command], *path: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command.commands, *path, name)
        else:
            yield " ".join((*path, name)), command


@pytest.mark.proves("tried S14")
def test_every_command_of_ours_refuses_an_argument_that_hides_before_it_does_anything(app: Flask) -> None:
    ours = {name: one for name, one in app.cli.commands.items() if name not in {"run", "shell", "routes"}}
    walked = 0
    for path, command in leaves(ours):
        assert command.callback is not None, path
        for given in (HIDDEN["ESC"], ("fine", HIDDEN["a right-to-left override"])):
            with pytest.raises(click.BadParameter, match="can't be seen"):
                command.callback(something=given)
        walked += 1
    assert walked > 40


@pytest.mark.proves("tried S14")
def test_commands_take_nothing_that_hides_and_print_nothing_that_a_terminal_obeys(app: Flask) -> None:
    run = app.test_cli_runner()
    refused = run.invoke(
        args=["users", "create-admin", f"{uuid.uuid4().hex}@example.test", "--name", "a\x1b[2Jb"]
    )
    assert refused.exit_code == 2
    user = new_user(Role.SUPPORT)
    with transaction():
        hot(
            "UPDATE users SET name = %(n)s WHERE id = %(id)s",
            {"n": "Eve\x1b]0;owned\x07\u202e", "id": user.id},
        )
    printed = run.invoke(args=["users", "list"])
    assert user.email in printed.output
    assert not {"\x1b", "\x07", "\u202e"} & set(printed.output)
    assert "\\u001b]0;owned" in printed.output
