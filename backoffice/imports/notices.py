"""Notices of imports on Today: files that the user has uploaded and not imported."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..app.attention import Notice, Source
from ..web.formats import quantity_filter
from .actions import OPEN
from .models import Import

LATELY = timedelta(days=7)
"""How long Today shows an upload that was not imported."""

MOST_REPORTED = 5


def _unfinished(session: Session, user: Any) -> Iterator[Notice]:
    own = (
        select(Import)
        .where(
            Import.user_id == user.id,
            Import.state.in_(OPEN),
            Import.created_at > datetime.now(UTC) - LATELY,
        )
        .order_by(Import.id.desc())
    )
    for upload in session.scalars(own.limit(MOST_REPORTED)):
        here = url_for("imports.record", import_id=upload.id)
        if upload.bad_lines:
            yield Notice(_with_bad_lines(upload), here, "warning", upload.bad_lines)
        else:
            yield Notice(_("%(name)s is uploaded, and not imported.", name=upload.name), here)


def _with_bad_lines(upload: Import) -> str:
    return ngettext(
        "%(name)s is not imported: %(count)s line of it cannot be read as it is.",
        "%(name)s is not imported: %(count)s lines of it cannot be read as they are.",
        upload.bad_lines,
        name=upload.name,
        count=quantity_filter(upload.bad_lines),
    )


NOTICES = (Source("imports", "unfinished", "imports.run", _unfinished),)
