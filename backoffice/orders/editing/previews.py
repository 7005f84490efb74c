"""The totals that the order form shows while it is being filled in."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ...base.refusals import Refusal
from ..actions import compute
from ..models import COMPONENT_OF_KIND, KINDS

if TYPE_CHECKING:
    from .forms import OrderForm


@dataclass(frozen=True)
class Preview:
    """Amounts by their place in the form; None where something typed cannot be read.

    `lines` is keyed by the index of the row, `note` is the sentence under the grand total, `problems`
    holds the reasons why known totals cannot be saved.
    """

    components: dict[str, Decimal | None]
    grand_total: Decimal | None
    lines: dict[int, Decimal | None]
    note: str
    problems: dict[str, Refusal]


def preview_of(session: Session, form: "OrderForm") -> Preview:
    """The totals of what has been typed, by the same computation that saving checks."""
    totals = compute(session, form.breakdown())
    typed = form.typed_lines()
    lines: dict[int, Decimal | None] = {entry.index: Decimal(0) for entry in form.lines}
    for entry, amount in zip(typed, totals.lines, strict=True):
        lines[entry.index] = amount if entry.form.is_readable else None
    unreadable = list(_unreadable(form))
    unknown = {component for component, _message in unreadable}
    if unknown:
        unknown.add("grand_total")
    problems = {name: p for name, p in totals.problems().items() if name not in unknown}
    notes = [message for _component, message in unreadable] + list(_reported(form, problems))
    return Preview(
        components={
            name: None if name in unknown else amount for name, amount in totals.components.items()
        },
        grand_total=None if unknown else totals.grand_total,
        lines=lines,
        note=notes[0] if notes else "",
        problems=problems,
    )


def _unreadable(form: "OrderForm") -> Iterator[tuple[str, str]]:
    """The components with a number that cannot be read, each with its error message."""
    for kind in KINDS:
        component = COMPONENT_OF_KIND[kind]
        label = form[component].label.text
        if kind not in form.kinds:
            for message in form[component].process_errors:
                yield component, _("%(field)s: %(problem)s", field=label, problem=message)
            continue
        for position, entry in enumerate(form.lines_of(kind), 1):
            for field in (entry.form.quantity, entry.form.unit_price):
                for message in field.process_errors:
                    yield (
                        component,
                        _(
                            "%(component)s, line %(line)d, %(field)s: %(problem)s",
                            component=label,
                            line=position,
                            field=field.label.text,
                            problem=message,
                        ),
                    )


def _reported(form: "OrderForm", problems: dict[str, Refusal]) -> Iterator[str]:
    """Each problem as a sentence that names the amount."""
    for name, refusal in problems.items():
        sentence = form.in_words(refusal)
        if name in COMPONENT_OF_KIND.values():
            label = form[name].label.text
            yield _("%(field)s: %(problem)s", field=label, problem=sentence)
        else:
            yield sentence
