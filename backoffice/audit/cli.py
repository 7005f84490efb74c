"""`backoffice audit …`: verify, seal and anchor the chain over the trail.

Exit status as for `diff`: 0 clean or done, 1 a bad row was found, 2 an error.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup
from flask_babel import gettext as _
from sqlalchemy import func, select

from ..app.command_line import CLEAN, FOUND, Trouble, progress_bar
from ..app.extensions import db
from .chain import sealing, verifying
from .chain.anchors import anchor, anchors_in, folder_of, stored_in
from .chain.keys import Keyring
from .chain.records import EVENTS
from .chain.sealing import head_of
from .chain.verifying import KINDS, Bad, Verification

SHOWN = 20
"""Bad rows printed as text; --json prints more."""

group = AppGroup("audit")

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


@group.command("verify-chain")
@json_option
@click.option(
    "--anchors",
    "folders",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A further folder of anchors, of another machine; may be repeated.",
)
@click.option(
    "--until",
    metavar="TIME",
    default="",
    help="Leave out anchors made after it, where the business is.",
)
def verify_chain(as_json: bool, folders: tuple[Path, ...], until: str) -> None:
    """Compare every event with its seal, and the chain with every anchor; names the first bad row."""
    keys = Keyring.of(current_app.config)
    try:
        stored = stored_in(db.session.connection())
        here = folder_of(current_app.config)
        anchors = anchors_in([here, *folders], keys, until=until, stored=stored)
    except ValueError:
        raise Trouble(
            _("%(time)s is not a time; write it like 2026-11-20T02:00.", time=until)
        ) from None
    head = head_of(db.session())
    takes_writes = db.session.scalar(select(func.current_setting("transaction_read_only"))) == "off"
    with _progress(_("Events"), head.total if head else 0) as advance:
        found = verifying.verify(db.engine, keys, anchors, progress=advance)
    if takes_writes:  # a standby, or a backup opened for inspection, takes no writes
        with db.engine.begin() as connection:
            verifying.record(connection, found)
    if as_json:
        click.echo(json.dumps(_as_dict(found)))
    else:
        _print(found)
    sys.exit(FOUND if found.bad_count else CLEAN)


@group.command("seal")
@json_option
def seal(as_json: bool) -> None:
    """Seal every event that can be sealed now, as the schedule does every few minutes."""
    waiting = db.session.scalar(select(func.count()).where(sealing.waiting(head_of(db.session()))))
    db.session.rollback()
    with _progress(_("Events"), waiting or 0) as advance:
        count = sealing.seal(db.engine, Keyring.of(current_app.config), progress=advance)
    head = head_of(db.session())
    if as_json:
        click.echo(json.dumps({"sealed": count, "head": _head(head)}))
    else:
        click.echo(_("%(count)s events were sealed.", count=f"{count:,}"))


@group.command("anchor")
@json_option
@click.option(
    "--restored",
    metavar="REASON",
    default="",
    help="After a backup was restored: anchors of what was lost count no more.",
)
def write_anchor(as_json: bool, restored: str) -> None:
    """Write the chain's head down outside the database and in it, as the schedule does every hour."""
    keys, folder = Keyring.of(current_app.config), folder_of(current_app.config)
    with db.engine.begin() as connection:
        made = anchor(connection, keys, folder, restored=restored)
    if made is None:
        raise Trouble(_("Nothing is sealed yet. Seal first: backoffice audit seal"))
    if as_json:
        click.echo(json.dumps(asdict(made)))
    else:
        click.echo(_("Seal %(seal)s is written down in %(folder)s.", seal=made.seal, folder=folder))
        click.echo(made.digest)


def _print(found: Verification) -> None:
    counts = {
        "events": f"{found.events:,}", "seals": f"{found.seals:,}",
        "anchors": f"{found.anchors:,}", "waiting": f"{found.waiting:,}",
    }  # fmt: skip
    click.echo(
        _(
            "%(events)s sealed events, %(seals)s seals and %(anchors)s anchors compared; "
            "%(waiting)s events are not sealed yet.",
            **counts,
        )
    )
    if not found.bad_count:
        click.echo(_("The trail is what was sealed."))
        return
    click.echo(_("First: %(what)s", what=_reported(found.bad[0])))
    for bad in found.bad[1:SHOWN]:
        click.echo(f"  {_reported(bad)}")
    if found.bad_count > SHOWN:
        click.echo(_("… and %(count)s more.", count=f"{found.bad_count - SHOWN:,}"))


def _reported(bad: Bad) -> str:
    return str(_(KINDS[bad.kind], **bad.reported))


def _as_dict(found: Verification) -> dict[str, Any]:
    bad = [_bad(one) for one in found.bad]
    return {
        "ok": not found.bad_count,
        "events": found.events,
        "seals": found.seals,
        "waiting": found.waiting,
        "anchors": found.anchors,
        "last_anchor": asdict(found.last_anchor) if found.last_anchor else None,
        "head": _head(found.head),
        "bad": found.bad_count,
        "first_bad": bad[0] if bad else None,
        "findings": bad,
    }


def _bad(bad: Bad) -> dict[str, Any]:
    row = _row(bad.event) if bad.event else {}
    return {
        "kind": bad.kind, "seal": bad.seal, "event": bad.event, **row, "sentence": bad.sentence
    }  # fmt: skip


def _row(event_id: int) -> dict[str, Any]:
    """The table, id and current record of the row that an event is about."""
    named = select(EVENTS.c.table_name, EVENTS.c.row_id).where(EVENTS.c.id == event_id)
    row = db.session.execute(named).mappings().first()
    return dict(row) if row else {}


def _head(head: sealing.Head | None) -> dict[str, Any] | None:
    if head is None:
        return None
    return {
        "seal": head.number, "events": head.total, "digest": head.digest.hex(),
        "sealed_at": head.sealed_at.isoformat(),
    }  # fmt: skip


@contextmanager
def _progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    with progress_bar(title, total) as tell:
        yield lambda count: tell(advance=count) if tell else None
