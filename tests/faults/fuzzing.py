"""Hostile requests to every route: the fields are taken from the app's forms, their values from this module."""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from backoffice.app.extensions import db

NUMBERS = (
    "0", "-0", "1", "-1", "2", "99999999999999999999", "9223372036854775807", "9223372036854775808",
    "-9223372036854775809", "2147483648", "NaN", "sNaN", "Infinity", "-inf", "1e400", "1E+9999999", "0x1F",
    "1_000", "1.000,50", "1,000.50", "1.500", "9999999999999.99", "10000000000000", "0.001", "(5)", "−5",
    "١٢٣", "१२.५", "１２", "½", "Ⅷ", "Rp 5", "9" * 5_000, "0" * 5_000, "1." + "0" * 5_000, "--1", "1-", "%",
)  # fmt: skip
DAYS = (
    "2026-02-30", "0000-00-00", "0001-01-01", "1899-12-31", "2200-01-01", "9999-12-31", "10000-01-01",
    "20000-01-01", "-0044-03-15", "0044-03-15 BC", "infinity", "-infinity", "now", "epoch", "2026-03",
    "2026-13", "9999-12", "0000-01", "20260301", "2026-W10-1", "2026-03-01T00:00", " 2026-03-01 ",
    "٢٠٢٦-٠٣-٠١",
)  # fmt: skip
TEXTS = (
    "", " ", "\t \n", "\0", "a\0b", "\r\nX-Injected: 1", "a\nb", "a\u2028b", "\u202eabc", "\ufeff", "\u200b",
    "é" * 300, "💥" * 60, "a" * 5_000, "a " * 5_000, "\u0301" * 500, "%", "_", "\\", "%00", "%0d%0a", "'", '"',
    "';--", "<script>alert(1)</script>", "{{7*7}}", "{% raw %}", "%(name)s", "%s%s%n", "${7*7}", "=1+1",
    "../../etc/passwd", "export.csv", "calculation/2", "a/b/c", "//", "/", ".", "..", "?", "#", "&", "new",
    "null", "None", "true", "[]", "{}", '{"a":', '{"a":1}', "[" * 3_000, '"' * 50, "1:1", "1:", ":", "17:3:9",
    "-1:-1", "1:" + "9" * 5_000, "all", "asc", "-id", "id", "--", "x", "X", "SO-1",
)  # fmt: skip
PLACES = (
    "//[::1", "http://[::1", "//evil.example", "/\\evil.example", "http://localhost:99999/", "https:///",
    "javascript:alert(1)", "http://localhost/orders", "/orders?q=\r\nX: 1", "/orders?" + "a=1&" * 2_000,
    "/" + "a" * 5_000, "//localhost//", "http://[v1.a]/", "mailto:a@b", "/orders#x", "/%5B", "http://\u2100/",
)  # fmt: skip
HOSTILE = (*NUMBERS, *DAYS, *TEXTS, *PLACES)

FILES = (
    b"", b"\0", b"\xff\xfe\0\0", bytes(range(256)) * 40, b"PK\x03\x04" + b"\0" * 200, b"%PDF-1.7\n\xe2\xe3",
    b"\x89PNG\r\n\x1a\n" + bytes(range(200)), b"code,name\n\0,\0\n", b"code;name\r\n\"unclosed;x\r\n",
    b"code,name\n" + b"a," * 5_000, b"code,code,code\n1,2,3\n", b"number,customer_code\n" + b"9" * 5_000 + b",x\n",
    "code,name\nÆ,ß\n".encode("utf-16"), "code,name\nx,é\n".encode("latin-1"), b"\xef\xbb\xbf",
    b"\n\n\n", b",,,,\n,,,\n", b"code,name\nC-1,One\n",
    (b"number,customer_code,account_manager_email,order_date,closing_date\n"
    b"N-1,x,a@b.c,infinity,20000-01-01\n"),
    b"\x1f\x8b\x08\0" + b"\0" * 50, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, b"a" * 70_000,
)  # fmt: skip
FILE_NAMES = (
    "a.csv",
    "a.xlsx",
    "",
    ".",
    "..",
    "a\r\nb.csv",
    "é" * 200,
    "a" * 3_000,
    "../x.csv",
    "a\0.csv",
    "<b>.csv",
)

HEADERS: tuple[dict[str, str], ...] = (
    {}, {}, {}, {"HX-Request": "true"}, {"HX-Request": "true", "HX-Request-Type": "partial"},
    {"Accept": "application/json"}, {"Accept": "*/*;q=x"}, {"Accept-Language": "id"}, {"Accept-Language": "\x7f;q=9"},
    {"HX-Request": "true", "HX-Current-URL": "http://[::1"}, {"Referer": "//[::1"}, {"Range": "bytes=9-1"},
    {"X-Request-ID": "a" * 5_000}, {"If-None-Match": "*"}, {"Authorization": "Bearer x"},
    {"Authorization": "Basic %%%"},
    {"Cookie": "theme=%00; language=xx"}, {"X-Forwarded-For": "a, b, c"}, {"Content-Type": "application/json"},
)  # fmt: skip

POOLS = {
    "orders": "SELECT number FROM orders ORDER BY id DESC LIMIT 20",
    "customers": "SELECT code FROM customers ORDER BY id DESC LIMIT 20",
    "meters": "SELECT number FROM meters ORDER BY id DESC LIMIT 20",
    "invoices": "SELECT number FROM invoices ORDER BY id DESC LIMIT 20",
    "payments": "SELECT reference FROM payments ORDER BY id DESC LIMIT 20",
    "adjustments": "SELECT number FROM meter_adjustments ORDER BY id DESC LIMIT 20",
    "products": "SELECT code FROM products ORDER BY id DESC LIMIT 20",
    "import_id": "SELECT id::text FROM imports ORDER BY id DESC LIMIT 20",
    "run_id": "SELECT id::text FROM runs ORDER BY id DESC LIMIT 20",
    "view_id": "SELECT id::text FROM saved_views ORDER BY id DESC LIMIT 20",
    "manager_id": "SELECT id::text FROM users WHERE role = 'account_manager' LIMIT 20",
    "event_id": "SELECT id::text FROM audit_events ORDER BY id DESC LIMIT 20",
    "line_id": "SELECT id::text FROM order_lines ORDER BY id DESC LIMIT 20",
    "assignment_id": "SELECT id::text FROM meter_assignments ORDER BY id DESC LIMIT 20",
    "report_id": "SELECT id::text FROM reconciliations ORDER BY id DESC LIMIT 20",
    "price_id": "SELECT id::text FROM product_prices ORDER BY id DESC LIMIT 20",
    "token_id": "SELECT id::text FROM api_tokens ORDER BY id DESC LIMIT 20",
}
"""Queries for the arguments of URLs, by the argument's name, or by the section of the path."""

WORDS = {
    "flavour": ("csv", "csv_id", "xlsx", "json", "html"),
    "ending": ("csv", "xlsx", "json"),
    "month": ("2026-03", "2026-12", "0001-01"),
    "year": ("2026", "1", "9999", "0"),
    "verb": ("activate", "deactivate", "dry-run", "run", "apply", "confirm"),
    "dimension": ("customer", "month", "account_manager", "product"),
    "kind": ("order", "meter", "customer", "orders", "meters"),
}


class _Forms(HTMLParser):
    """The forms of a page (method, URL, fields), and the arguments of its links."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, str, list[tuple[str, str]], set[str]]] = []
        self.links: list[str] = []
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            action = given.get("action") or given.get("hx-post") or given.get("hx-get") or ""
            method = "POST" if "hx-post" in given or given.get("method") == "post" else "GET"
            self.forms.append((method, action, [], set()))
        for name, method in (("hx-post", "POST"), ("hx-get", "GET"), ("formaction", "POST")):
            if given.get(name) and tag != "form" and self.forms and method == "POST":
                self.forms.append((method, given[name], self.forms[-1][2], self.forms[-1][3]))
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if not self.forms:
            return
        fields, files = self.forms[-1][2], self.forms[-1][3]
        if tag in ("input", "textarea", "button") and given.get("name"):
            if given.get("type") == "file":
                files.add(given["name"])
            else:
                fields.append((given["name"], given.get("value", "")))
        elif tag == "select":
            self._select = given.get("name", "")
        elif tag == "option" and self._select:
            fields.append((self._select, given.get("value", "")))


@dataclass
class Target:
    """A route with a method, and the fields that its forms send."""

    rule: Rule
    method: str
    bodies: list[list[tuple[str, str]]] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)


@dataclass
class Fuzzer:
    """Sends hostile requests as each role; `found` are those with a response status of 500 or more."""

    app: Flask
    sign_in: Callable[..., FlaskClient]
    roles: tuple[str, ...]
    chance: random.Random
    sent: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    found: list[str] = field(default_factory=list)
    routes: Counter[str] = field(default_factory=Counter)
    browsers: dict[str, FlaskClient] = field(default_factory=dict)
    pools: dict[str, list[str]] = field(default_factory=dict)
    targets: dict[tuple[str, str], Target] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for rule in self.app.url_map.iter_rules():
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                self.targets[rule.endpoint, method] = Target(rule, method)
        self.renew()

    def renew(self) -> None:
        """Sign in again as every role, and read which records exist now."""
        self.browsers = {role: self.sign_in(role) for role in self.roles}
        with self.app.app_context():
            for name, query in POOLS.items():
                self.pools[name] = list(db.session.scalars(text(query)))
            db.session.rollback()

    def crawl(self) -> None:
        """Read the forms and links of every page, as each role sees them."""
        for target in list(self.targets.values()):
            if target.method == "GET":
                for role in ("admin", "account_manager"):
                    path = self._address(target.rule, honest=True)
                    self._learn(path, self.browsers[role].get(path))

    def _learn(self, path: str, answer: TestResponse) -> None:
        if answer.mimetype != "text/html" or answer.status_code not in (200, 422, 409):
            return
        page = _Forms()
        page.feed(answer.get_data(as_text=True))
        for method, action, fields, files in page.forms:
            target = self._target(action or path, method)
            if target:
                if len(target.bodies) < 12:
                    target.bodies.append(fields[:80])
                target.files |= files
                target.names |= {name for name, _ in fields[:80]}
        for link in page.links:
            target = self._target(link, "GET")
            if target:
                target.names |= {name for name, _ in parse_qsl(urlsplit(link).query)}

    def _target(self, address: str, method: str) -> Target | None:
        try:
            adapter = self.app.url_map.bind("localhost")
            endpoint, _ = adapter.match(urlsplit(address).path, method=method)
        except (HTTPException, ValueError):
            return None
        return self.targets.get((endpoint, method))

    def attack(self, count: int) -> None:
        """Send so many requests: every route in turn, in random order."""
        order: list[Target] = []
        for number in range(count):
            if number % 400 == 399:
                self.renew()
            if not order:
                order = list(self.targets.values())
                self.chance.shuffle(order)
            self._send(order.pop(), self.chance.choice(self.roles))

    def _send(self, target: Target, role: str) -> None:
        path = self._address(target.rule, honest=self.chance.random() < 0.8)
        query = self._pairs(target, self.chance.randint(0, 3)) if self.chance.random() < 0.6 else []
        headers = self.chance.choice(HEADERS)
        options: dict[str, Any] = {}
        if target.method != "GET":
            options["data"] = self._body(target)
            if target.files and self.chance.random() < 0.8:
                options["content_type"] = "multipart/form-data"
        elif target.names and self.chance.random() < 0.7:
            query += self._pairs(target, self.chance.randint(1, 3))
        joined = "&".join(f"{quote(n)}={quote(v)}" for n, v in query)
        self.sent[role] += 1
        self.routes[f"{target.method} {target.rule}"] += 1
        what = (role, target.method, f"{path}?{joined}"[:400], str(options)[:1500], headers)
        try:
            answer = self.browsers[role].open(
                f"{path}?{joined}", method=target.method, headers=headers, **options
            )
            self.statuses[answer.status_code] += 1
            if answer.status_code >= 500:
                self.found.append(f"{answer.status_code} {what}")
            elif answer.status_code == 422 or self.chance.random() < 0.05:
                self._learn(path, answer)
            if answer.location and answer.location.startswith("/login"):
                self.browsers[role] = self.sign_in(role)
        except Exception as error:  # noqa: BLE001 (a test client hands on what a server would log)
            self.statuses[500] += 1
            self.found.append(f"{type(error).__name__}: {str(error)[:300]} {what}")

    def _address(self, rule: Rule, *, honest: bool) -> str:
        parts = []
        for is_argument, name in rule._trace:
            if not is_argument:
                parts.append(name.removeprefix("|"))
                continue
            known = self._known(rule, name)
            value = self.chance.choice(known) if honest and known else self._hostile()
            parts.append(quote(value, safe="/" if honest else ""))
        return re.sub("^/*", "/", "".join(parts))

    def _known(self, rule: Rule, name: str) -> list[str]:
        section = str(rule).strip("/").split("/")
        for key in (name, *section[:2][::-1]):
            if self.pools.get(key):
                return self.pools[key]
        return list(WORDS.get(name, ("1", "x", "orders.grand_total", "billing.meter_balance")))

    def _hostile(self) -> str:
        return self.chance.choice(HOSTILE)

    def _pairs(self, target: Target, count: int) -> list[tuple[str, str]]:
        names = [
            *sorted(target.names),
            "q",
            "page",
            "sort",
            "next",
            "columns",
            "do",
            "all",
            "version",
        ]
        return [(self.chance.choice(names), self._hostile()) for _ in range(count)]

    def _body(self, target: Target) -> dict[str, Any]:
        body: dict[str, Any] = defaultdict(list)
        if target.bodies and self.chance.random() < 0.95:
            for name, value in self.chance.choice(target.bodies):
                body[name] = [value]
        names = sorted(set(body) | target.names | {"idempotency_key", "next", "version"})
        if self.chance.random() < 0.9 and "idempotency_key" in body:
            body["idempotency_key"] = [str(self.chance.random())]
        for _ in range(self.chance.choice((0, 1, 1, 2, 3, 6))):
            name = self.chance.choice(names)
            how = self.chance.random()
            if how < 0.12:
                body.pop(name, None)
            elif how < 0.2:
                body[name].append(self._hostile())
            else:
                body[name] = [self._hostile()]
        for name in target.files:
            body[name] = [
                (BytesIO(self.chance.choice(FILES)), self.chance.choice(FILE_NAMES))
                for _ in range(self.chance.choice((0, 1, 1, 2)))
            ]
        return body

    def report(self, seconds: float) -> str:
        """The number of requests, by role and by status, the number of routes, and the failures found."""
        lines = [
            f"\n{self.sent.total():,} requests to {len(self.routes)} routes in {seconds:,.0f} s"
        ]
        for counted in (self.sent, self.statuses):
            lines += [f"{count:>9,}  {what}" for what, count in counted.most_common()]
        return "\n".join([*lines, *self.found[:400]])
