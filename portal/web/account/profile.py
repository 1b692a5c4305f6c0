"""`/account`: one's name, language and zone, and how the pages look on this device."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import refresh
from flask_login import current_user
from wtforms import SelectField, StringField
from wtforms.fields import SelectChoice
from wtforms.validators import InputRequired, Length

from portal.core.db import transaction
from portal.core.permissions import Permission, requires
from portal.core.text_rules import LONGEST_NAME
from portal.identity.profile import change_profile, zones
from portal.mail.languages import LANGUAGES
from portal.web.labels.languages import language_choices
from portal.web.shell.acting import acting_person
from portal.web.shell.flashes import flash
from portal.web.shell.next_page import safe_next
from portal.web.shell.theme import chosen_density, chosen_theme, keep_look
from portal.web.ui.forms import PageForm

blueprint = Blueprint("profile", __name__, url_prefix="/account")


class ProfileForm(PageForm):
    name = StringField(
        _l("Name"),
        validators=[
            InputRequired(_l("Type your name.")),
            Length(max=LONGEST_NAME, message=_l("This is too long.")),
        ],
    )
    language = SelectField(_l("Language"), choices=language_choices())
    timezone = SelectField(
        _l("Time zone"), choices=[SelectChoice(zone, zone.replace("_", " ")) for zone in zones()]
    )
    theme = SelectField(
        _l("Theme"),
        choices=[
            SelectChoice("auto", _l("As the system")),
            SelectChoice("light", _l("Light")),
            SelectChoice("dark", _l("Dark")),
        ],
    )
    density = SelectField(
        _l("Density"),
        choices=[SelectChoice("comfortable", _l("Comfortable")), SelectChoice("compact", _l("Compact"))],
    )


@blueprint.get("")
@requires(Permission.ACCOUNT_VIEW)
def show() -> ResponseReturnValue:
    who = current_user.session
    form = ProfileForm(
        name=who.name,
        language=who.locale,
        timezone=who.timezone,
        theme=chosen_theme(),
        density=chosen_density(),
    )
    return render_template("account/profile.html", form=form)


@blueprint.post("")
@requires(Permission.ACCOUNT_VIEW)
def save() -> ResponseReturnValue:
    form = ProfileForm(request.form)
    if not form.validate():
        return render_template("account/profile.html", form=form), 422
    with transaction():
        change_profile(
            current_user.id, name=form.name.data, locale=form.language.data, timezone=form.timezone.data,
            actor=acting_person(),
        )  # fmt: skip
    current_user.locale = form.language.data
    refresh()
    flash(_("Saved."))
    response = redirect(url_for("profile.show"), code=303)
    keep_look(response, theme=form.theme.data, density=form.density.data)
    return response


@blueprint.post("/look")
@requires(Permission.ACCOUNT_VIEW)
def save_look() -> ResponseReturnValue:
    """What the person's menu changes at once: the language of the account, the theme of this device."""
    language = request.form.get("language")
    if language in LANGUAGES:
        with transaction():
            change_profile(current_user.id, locale=language, actor=acting_person())
    back = safe_next(request.form.get("next", "")) or url_for("profile.show")
    response = redirect(back, code=303)
    keep_look(response, theme=request.form.get("theme"), density=request.form.get("density"))
    return response
