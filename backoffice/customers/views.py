"""The list of customers, one customer with what belongs to them, and choosing one in a form."""

from typing import Any

from flask import Blueprint, Response, abort, request
from flask_login import current_user

from ..extensions import db
from ..htmx import render
from ..paging import PAGE_SIZE, Page, page_number
from ..permissions import requires
from . import queries
from .parts import PARTS

bp = Blueprint("customers", __name__, url_prefix="/customers")


@bp.get("")
@requires("customers.read")
def index() -> Response:
    """The customers whose code or name holds what is searched for."""
    text = request.args.get("q", "").strip()[:100]
    total = queries.count(db.session(), text)
    number = min(page_number(request.args.get("page")), max(1, -(-total // PAGE_SIZE)))
    found = queries.search(db.session(), text, limit=PAGE_SIZE, offset=(number - 1) * PAGE_SIZE)
    page = Page(found, number, PAGE_SIZE, total)
    return render("customers/index.html", block="results", page=page, search=text)


@bp.get("/options")
@requires("customers.read")
def options() -> Response:
    """The customers that fit what is typed into a form, as options to choose from."""
    text = request.args.get("customer", "").strip()[:100]
    return render("customers/options.html", found=queries.search(db.session(), text))


@bp.get("/<path:code>")
@requires("customers.read")
def record(code: str) -> Response:
    """One customer, with what the other domains have to show about them."""
    customer = queries.by_code(db.session(), code) or abort(404)
    number = page_number(request.args.get("page"))
    parts: list[dict[str, Any]] = [
        {"template": part.template, **part.context(customer, current_user, number)}
        for part in PARTS
    ]
    return render("customers/record.html", customer=customer, parts=parts)
