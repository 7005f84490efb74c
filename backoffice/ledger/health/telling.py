"""What a mail says after a maintenance: what was wrong, where, by how much, what was done, and where to look."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from flask import current_app
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import Connection, select

from ...base import differences
from ...drift.amounts import amounts_of
from ...drift.findings import CORRECTIONS
from ...figures import registry
from ...web.formats import money_filter
from ...web.record_links import called
from .alerts import Alert
from .examining import BalanceHealth
from .wording import (
    as_problem,
    as_texts,
    in_lines,
    problems_in_lines,
    values_in_words,
    verdict,
)

MOST = 20
"""Corrections that a mail names; the run's page lists them all."""


class Done(NamedTuple):
    """One correction: the title of what it is about, the figure, and its values before and after."""

    name: str
    figure: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    @property
    def amount(self) -> Decimal:
        """By how much it was wrong, without sign; 0 without an amount."""
        amounts = amounts_of(registry.get(self.figure), self.before, self.after)
        return Decimal(0) if amounts is None else amounts.gross

    def in_words(self) -> str:
        """Cash: Balance 105.00, correct is 100.00 (-5.00)."""
        return f"{self.name}: {values_in_words(self.figure, self.before, self.after)}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON; amounts as texts."""
        both = {**self.before, **self.after}
        changed = {c for c in both if self.before.get(c) != self.after.get(c)}
        before, after = (
            {c: v for c, v in side.items() if c in changed} for side in (self.before, self.after)
        )
        return {
            "name": self.name, "figure": self.figure, "before": before, "after": after,
            "difference": differences.differences(before, after),
        }  # fmt: skip


def done_by(connection: Connection, runs: Sequence[int]) -> list[Done]:
    """The corrections of these runs, in the order in which they were made."""
    c = CORRECTIONS.c
    asked = select(c.figure, c.owner, c.key, c.before, c.after).where(c.run_id.in_(runs))
    rows = connection.execute(asked.order_by(c.id)).all()
    names = called(connection, ((row.figure, row.owner, row.key) for row in rows))
    return [
        Done(name or f"#{row.owner}", row.figure, row.before or {}, row.after or {})
        for row, name in zip(rows, names, strict=True)
    ]


def alert_of(run: int, health: BalanceHealth, done: Sequence[Done], closed: Sequence[str]) -> Alert:
    """The alert of a maintenance run."""
    address = address_of("runs.record", run_id=run)
    facts = {
        "balance_status": health.is_valid,
        "corrected": len(done),
        "corrections": [one.as_dict() for one in _largest(done)],
        "closed": list(closed),
        "balance_sheet": as_texts(health),
        "problems": list(map(as_problem, health.problems)),
        "url": address,
    }
    text = "\n".join(_lines(run, health, done, closed, address))
    subject = f"{current_app.config['COMPANY_NAME']}: {_subject(health, done, closed)}"
    return Alert(run, subject, text, facts)


def _subject(health: BalanceHealth, done: Sequence[Done], closed: Sequence[str]) -> str:
    if not health.is_valid:
        return verdict(health)
    if not done:
        return _("Closed: %(months)s", months=", ".join(closed)) if closed else verdict(health)
    first = _largest(done)[0]
    return ngettext(
        "%(num)d stored amount was wrong and is corrected: %(name)s, by %(amount)s",
        "%(num)d stored amounts were wrong and are corrected: %(name)s, by up to %(amount)s",
        len(done),
        name=first.name,
        amount=money_filter(first.amount, symbol=True),
    )


def _largest(done: Sequence[Done]) -> list[Done]:
    return sorted(done, key=lambda one: one.amount, reverse=True)[:MOST]


def _lines(
    run: int, health: BalanceHealth, done: Sequence[Done], closed: Sequence[str], address: str
) -> Iterator[str]:
    if done:
        yield _("Corrected by run %(run)s: %(count)s", run=run, count=len(done))
        yield from (f"- {one.in_words()}" for one in _largest(done))
        if len(done) > MOST:
            yield "- " + _("… and %(count)d more", count=len(done) - MOST)
        yield ""
    if closed:
        yield from (_("Closed: %(months)s", months=", ".join(closed)), "")
    yield verdict(health)
    if not health.is_valid:
        yield _("Still wrong:")
        yield from (f"- {line}" for line in problems_in_lines(health))
        yield _("Look at %(address)s", address=address_of("drift.index"))
    yield from in_lines(health)
    yield from ("", _("All corrections of this run: %(address)s", address=address))


def address_of(endpoint: str, **values: Any) -> str:
    """The address of a page for a reader outside of the app: at the first trusted host, else where it listens."""
    hosts = current_app.config["TRUSTED_HOSTS"]
    if hosts:
        base = f"https://{hosts[0].lstrip('.')}"
    else:
        base = f"http://{current_app.config['HOST']}:{current_app.config['PORT']}"
    return base + current_app.url_map.bind("").build(endpoint, values)
