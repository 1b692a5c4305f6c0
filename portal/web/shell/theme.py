"""How the pages look on this device: theme and density, kept in cookies of their own."""

from __future__ import annotations

from flask import Flask, request
from werkzeug.wrappers import Response

from portal.settings import get_settings

THEMES = ("auto", "light", "dark")
DENSITIES = ("comfortable", "compact")
_KEPT_S = 365 * 86400


def chosen_theme() -> str:
    return _chosen("theme", THEMES)


def chosen_density() -> str:
    return _chosen("density", DENSITIES)


def keep_look(response: Response, *, theme: str | None = None, density: str | None = None) -> None:
    """Remember what was chosen; what is none of the choices is not."""
    for name, value, known in (("theme", theme, THEMES), ("density", density, DENSITIES)):
        if value in known:
            response.set_cookie(
                name,
                value or "",
                max_age=_KEPT_S,
                secure=get_settings().is_https,
                httponly=True,
                samesite="Lax",
            )


def _chosen(name: str, known: tuple[str, ...]) -> str:
    value = request.cookies.get(name, "")
    return value if value in known else known[0]


def register(app: Flask) -> None:
    app.jinja_env.globals.update(chosen_theme=chosen_theme, chosen_density=chosen_density)
