"""The form that asks why a dry run is applied, and the values shown on every page of a run."""

from typing import Any

from flask import current_app
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from flask_wtf import FlaskForm
from wtforms import TextAreaField

from ..app.extensions import db
from ..people.actors import names_of
from ..web.forms import Required, at_most, trimmed
from ..web.idempotency import new_key
from . import queries, wording
from .actions import Limits, verbs_of
from .models import Run

REASON_LENGTH = 500


class ApplyForm(FlaskForm):
    """The reason for applying what a dry run has found; it is kept with every correction."""

    reason = TextAreaField(
        _l("Reason"),
        filters=[trimmed],
        validators=[
            Required(_l("Say why. The reason is kept with every correction.")),
            at_most(REASON_LENGTH),
        ],
        render_kw={"rows": 2, "maxlength": REASON_LENGTH, "autocomplete": "off"},
    )


def about(run: Run, form: ApplyForm) -> dict[str, Any]:
    """Template values of every page of a run: its progress, the actions offered, and related runs."""
    session, limits = db.session(), Limits.of(current_app.config)
    followers = queries.followers_of(session, run)
    return {
        "run": run,
        "look": wording.STATUSES[run.status],
        "progress": queries.progress_of(session, run),
        "followers": followers,
        "verbs": verbs_of(session, current_user, run, followers, limits),
        "limits": limits,
        "names": names_of(session, [run.requested_by, run.approved_by, run.cancelled_by]),
        "form": form,
        "idempotency_key": new_key(),
        "wording": wording,
    }
