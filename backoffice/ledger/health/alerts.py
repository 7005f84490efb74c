"""Alerts about the balance sheet: by mail, and to one webhook on a host that the deployment allows."""

import json
import smtplib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid, parseaddr
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

import structlog

from ...app.config import is_allowed_webhook
from ...base import N_

SECONDS = 10
"""How long a mail server or a webhook may take."""

NOT_SENT = N_(
    "The alert could not be sent. Look at ALERT_MAIL_TO, SMTP_URL and ALERT_WEBHOOK_URL, then retry."
)

log = structlog.get_logger("backoffice.alerts")


@dataclass(frozen=True)
class Alert:
    """The alert of one `run`, by which a receiver recognizes a repetition."""

    run: int
    subject: str
    text: str
    facts: Mapping[str, Any]


class _NoRedirects(HTTPRedirectHandler):
    """Follows no redirect: an allowed host must not lead to another one."""

    def redirect_request(self, *_args: Any) -> None:
        """Treat a redirect as an error."""


def send(settings: Mapping[str, Any], alert: Alert) -> dict[str, bool]:
    """Send the alert to every configured channel; answers whether each accepted it."""
    ways: Mapping[str, tuple[Any, Callable[[Mapping[str, Any], Alert], None]]] = {
        "mail": (settings["ALERT_MAIL_TO"], _mail),
        "webhook": (settings["ALERT_WEBHOOK_URL"], _post),
    }
    return {
        name: _is_sent(name, way, settings, alert)
        for name, (is_wanted, way) in ways.items()
        if is_wanted
    }


def _is_sent(name: str, way: Any, settings: Mapping[str, Any], alert: Alert) -> bool:
    try:
        way(settings, alert)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        log.warning("alert not sent", channel=name, run=alert.run, error=type(error).__name__)
        return False
    log.info("alert sent", channel=name, run=alert.run, subject=alert.subject)
    return True


def _mail(settings: Mapping[str, Any], alert: Alert) -> None:
    message = EmailMessage()
    message["Subject"], message["From"] = alert.subject, settings["ALERT_MAIL_FROM"]
    message["To"] = ", ".join(settings["ALERT_MAIL_TO"])
    message["Date"] = format_datetime(datetime.now(UTC))
    sender = parseaddr(settings["ALERT_MAIL_FROM"])[1]
    message["Message-ID"] = make_msgid(f"run-{alert.run}", domain=sender.rpartition("@")[2])
    message.set_content(alert.text)
    parts = urlsplit(settings["SMTP_URL"])
    tls = ssl.create_default_context()  # without one, smtplib verifies no certificate
    over_tls = partial(smtplib.SMTP_SSL, context=tls), 465
    kind, port = over_tls if parts.scheme == "smtps" else (smtplib.SMTP, 25)
    with kind(parts.hostname or "", parts.port or port, timeout=SECONDS) as server:
        if parts.scheme == "smtp+starttls":
            server.starttls(context=tls)
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        server.send_message(message)


def _post(settings: Mapping[str, Any], alert: Alert) -> None:
    """Raises ValueError for a host that is not allowed: settings may have been changed by hand."""
    url = settings["ALERT_WEBHOOK_URL"]
    if not is_allowed_webhook(url, settings["ALERT_WEBHOOK_HOSTS"]):
        raise ValueError("This host is not in ALERT_WEBHOOK_HOSTS.")
    body = json.dumps({"text": f"{alert.subject}\n{alert.text}", "run": alert.run, **alert.facts})
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"run-{alert.run}"}
    request = Request(url, body.encode(), headers)  # noqa: S310 (an allowed scheme and host, see above)
    with build_opener(_NoRedirects, ProxyHandler({})).open(request, timeout=SECONDS):
        pass
