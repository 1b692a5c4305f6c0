"""Answers that may be seconds old: shared by Redis as JSON, kept in memory while Redis is away."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest
import redis
from flask import Flask

from portal.core import answer_cache
from portal.core.answer_cache import SharedAnswers, answers
from portal.core.redis import request_client


@pytest.fixture
def kept(app: Flask) -> Iterator[SharedAnswers]:
    with app.app_context():
        yield SharedAnswers()


def names() -> list[bytes]:
    return sorted(request_client().scan_iter("nostro:answers:*"))


def test_what_one_process_has_made_another_is_given(kept: SharedAnswers) -> None:
    kept.set("rates", [{"payin": "95.10"}], 5)
    assert SharedAnswers().get("rates") == [{"payin": "95.10"}]
    (name,) = names()
    assert 0 < request_client().ttl(name) <= 5


def test_it_is_json_and_what_is_not_is_never_read(kept: SharedAnswers) -> None:
    """A pickle in Redis would be code."""

    class Trap:
        def __reduce__(self) -> tuple[type[RuntimeError], tuple[str]]:
            return RuntimeError, ("run",)

    kept.set("x", 1)
    (name,) = names()
    assert request_client().get(name).endswith(b" 1")
    request_client().set(name, pickle.dumps(Trap()))
    assert kept.get("x") is None
    with pytest.raises(TypeError):
        kept.set("x", object())


def test_what_another_wrote_into_redis_is_not_shown(kept: SharedAnswers) -> None:
    """A page of theirs would act as whoever reads it."""
    kept.set("page", "<h1>ours</h1>")
    kept.set("other", "<h1>other</h1>")
    page, other = sorted(names(), reverse=True)
    sealed, others = request_client().get(page), request_client().get(other)
    assert kept.get("page") == "<h1>ours</h1>"
    for forged in (
        b'"<h1>theirs</h1>"',
        sealed.replace(b"ours", b"evil"),
        others,
        b"",
        b"\xff \xff",
        b'{"a": 1}',
    ):
        request_client().set(page, forged)
        assert kept.get("page") is None, forged


def test_without_redis_the_process_keeps_it_itself(
    kept: SharedAnswers, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.set("x", "old")
    monkeypatch.setattr(answer_cache, "guarded_client", _away)
    assert kept.get("x") is None
    assert kept.set("x", ["new"])
    assert kept.get("x") == ["new"]
    assert kept.delete("x") is False
    assert kept.get("x") is None


def _away() -> Iterator[redis.Redis]:
    raise redis.ConnectionError("away")


def test_a_public_answer_is_made_once_for_many(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    from portal.api.v1 import reference

    made = []
    real = reference.list_currencies
    monkeypatch.setattr(reference, "list_currencies", lambda: made.append(1) or real())
    client = app.test_client()
    first = client.get("/api/v1/reference/currencies")
    assert first.status_code == 200
    assert client.get("/api/v1/reference/currencies").json == first.json
    assert len(made) == 1
    with app.app_context():
        answers.clear()
    client.get("/api/v1/reference/currencies")
    assert len(made) == 2


def test_an_unknown_currency_leaves_nothing_behind(app: Flask) -> None:
    """Whoever asks for thousands of codes that do not exist fills nobody's memory."""
    client = app.test_client()
    for code in ("QQQ", "QQZ"):
        assert client.get(f"/api/v1/reference/methods?currency={code}").status_code in {200, 422}
    assert names() == []
