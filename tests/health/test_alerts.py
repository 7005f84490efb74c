"""The alert rules use only metrics of `/metrics`, and each names the problem and its runbook section."""

import re
from itertools import pairwise

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from backoffice.app.config import ROOT
from backoffice.app.domain import Declared
from backoffice.app.domains import DOMAINS
from backoffice.people import tokens
from backoffice.runs.models import STATUSES

MEASURED = Declared(DOMAINS).measures
FOLDER = ROOT / "deploy" / "prometheus"
GUIDE = (ROOT / "docs" / "operations.md").read_text()
SEVERITIES = {"critical", "warning", "info"}
OF_PROMETHEUS_ITSELF = {"up"}

# fmt: off
WORDS = {
    "and", "or", "unless", "on", "ignoring", "by", "without", "group_left", "group_right", "sum", "min",
    "max", "avg", "count", "rate", "increase", "time", "hour", "minute", "vector", "histogram_quantile",
    "offset", "bool",
}
# fmt: on
"""The keywords and functions of PromQL."""


def rules():
    groups = yaml.safe_load((FOLDER / "backoffice.rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = [pytest.param(rule, id=rule["alert"]) for rule in rules()]


def plain(expression):
    """An expression without texts and durations."""
    return re.sub(r"\[[^\]]*\]", "", re.sub(r'"[^"]*"', '""', expression))


def metrics_in(expression):
    """The names of metrics in an expression: what is neither PromQL's, nor in braces, nor after `by`."""
    bare = re.sub(r"\{[^}]*\}", "", plain(expression))
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", "", bare)
    return set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", bare)) - WORDS


def labels_in(expression):
    """The labels that an expression matches or groups by."""
    matched = re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)\"", plain(expression))
    grouped = re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", plain(expression))
    return {
        *matched,
        *(label.strip() for group in grouped for label in group.split(",") if label.strip()),
    }


def expressions(rule):
    """The rule's own expression, and those within its texts."""
    yield rule["expr"]
    for sentence in rule["annotations"].values():
        yield from re.findall(r"query\s+`([^`]*)`", sentence)


@pytest.fixture
def exported(app, session):
    """Metric → its labels, of everything in `/metrics` after a request for a page."""
    app.extensions.pop("metrics", None)
    issued = tokens.create(session, name="prometheus", scope="metrics", expires_at=None)
    session.commit()
    app.test_client().get("/healthz")
    headers = {"Authorization": f"Bearer {issued.secret}"}
    written = app.test_client().get("/metrics", headers=headers).text
    found = {m.name: set(m.labels) for s in MEASURED.values() for m in s.measures}
    for family in text_string_to_metric_families(written):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize("rule", ALERTS)
def test_an_alert_says_how_grave_it_is_what_it_is_and_what_it_means(rule):
    assert re.fullmatch(r"(Backoffice|BalanceSheet)[A-Z][A-Za-z]+", rule["alert"])
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"\d+[smhd]", rule.get("for", "0s"))
    assert set(rule["labels"]) == {"severity"}
    assert rule["labels"]["severity"] in SEVERITIES
    assert set(rule["annotations"]) == {"summary", "description"}
    assert all(len(sentence) > 15 for sentence in rule["annotations"].values())


@pytest.mark.parametrize("rule", ALERTS)
def test_an_alert_stands_in_the_guide_with_what_to_do(rule):
    _, heading, after = GUIDE.partition(f"#### {rule['alert']}\n")
    assert heading, f"docs/operations.md says nothing of {rule['alert']}."
    assert len(after.split("####")[0].strip()) > 60


def test_the_guide_knows_no_alert_that_there_is_not():
    headings = re.findall(r"^#### ((?:Backoffice|BalanceSheet)\w+)$", GUIDE, re.MULTILINE)
    assert sorted(headings) == sorted(rule["alert"] for rule in rules())


def test_every_metric_and_label_of_an_expression_is_one_that_is_told(exported):
    strange = []
    for rule in rules():
        for expression in expressions(rule):
            names = metrics_in(expression) - OF_PROMETHEUS_ITSELF
            assert names or "up" in expression, rule["alert"]
            known = {"instance", "job", "le"}.union(*(exported.get(name, set()) for name in names))
            strange += [(rule["alert"], name) for name in names if name not in exported]
            strange += [(rule["alert"], label) for label in labels_in(expression) - known]
    assert strange == []


def test_every_status_that_an_expression_names_is_one_of_runs():
    named = [
        status
        for rule in rules()
        for expression in expressions(rule)
        for statuses in re.findall(r'runs_\w+\{status=~"([^"]+)"', expression)
        for status in statuses.split("|")
    ]
    assert named
    assert set(named) <= set(STATUSES)


def test_what_the_issue_asks_for_is_called_for():
    wanted = {
        "sum(max without (instance) (backoffice_drift_findings)) > 10": "critical",
        "max without (instance) (backoffice_figure_verified_age_seconds) > 26 * 3600": "critical",
        "sum(increase(backoffice_slow_queries_total[5m])) > 0": "warning",
        "max without (instance) (backoffice_run_outbox_age_seconds) > 60": "critical",
        "max without (instance) (backoffice_notes_oldest_age_seconds) > 60": "warning",
    }
    called = {rule["expr"]: rule["labels"]["severity"] for rule in rules()}
    assert wanted.items() <= called.items()
    assert sum(rule["alert"] == "BackofficeDailySummary" for rule in rules()) == 1


def test_every_expression_and_template_closes_what_it_opens():
    for rule in rules():
        for expression in expressions(rule):
            for opening, closing in ("()", "[]", "{}"):
                assert expression.count(opening) == expression.count(closing), rule["alert"]
        for sentence in rule["annotations"].values():
            assert sentence.count("{{") == sentence.count("}}"), rule["alert"]
            assert sentence.count("{{ with") == sentence.count("{{ end"), rule["alert"]


def test_the_labels_that_a_text_names_are_left_by_the_expression(exported):
    for rule in rules():
        text = " ".join(rule["annotations"].values())
        for label in re.findall(r"\$labels\.(\w+)", text):
            grouped = re.findall(r"\b(?:sum|max|min|avg) by \(([^)]*)\)", rule["expr"])
            names = metrics_in(rule["expr"])
            left = {"instance", "job"}.union(*(exported.get(name, set()) for name in names))
            if grouped:
                left = {part.strip() for group in grouped for part in group.split(",")}
            assert label in left, (rule["alert"], label)


def test_the_example_scrapes_what_there_is_with_a_token_from_a_file(app):
    example = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    (job,) = example["scrape_configs"]
    assert job["metrics_path"] in {rule.rule for rule in app.url_map.iter_rules()}
    assert job["authorization"]["type"] == "Bearer"
    assert set(job["authorization"]) == {"type", "credentials_file"}
    assert job["scheme"] == "https"
    assert example["rule_files"] == ["backoffice.rules.yml"]
    assert {rule["expr"] for rule in rules() if "job=" in rule["expr"]} == {
        f'up{{job="{job["job_name"]}"}} == 0'
    }


def test_the_example_of_who_hears_knows_every_severity_and_holds_no_secret():
    example = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())
    receivers = {receiver["name"] for receiver in example["receivers"]}
    routes = [example["route"], *example["route"]["routes"]]
    assert {route["receiver"] for route in routes} == receivers
    matched = {m for route in routes for m in route.get("matchers", ())}
    assert matched == {f'severity = "{severity}"' for severity in SEVERITIES - {"warning"}}
    text = (FOLDER / "alertmanager.yml").read_text()
    assert not re.search(r"(password|api_url|secret|token):", text)


def test_what_the_database_tells_is_not_added_up_over_servers():
    per_database = {m.name for s in MEASURED.values() for m in s.measures}
    for rule in rules():
        for expression in expressions(rule):
            for by, inside in re.findall(r"sum( by \([^)]*\))? ?\((\w+)", expression):
                assert inside not in per_database or "instance" in by, (rule["alert"], inside)


def test_no_two_alerts_have_one_name():
    names = sorted(rule["alert"] for rule in rules())
    assert all(one != other for one, other in pairwise(names))


def test_the_guide_names_every_metric_and_no_other(exported):
    of_histograms = re.compile(r"_(bucket|count|sum)$")
    reported = {of_histograms.sub("", name) if "_duration_" in name else name for name in exported}
    counters = {m.name for s in MEASURED.values() for m in s.measures if m.kind == "counter"}
    reported = {name for name in reported if name not in counters}
    named = set(
        re.findall(r"`((?:backoffice|balance_sheet)_[a-z0-9_]+)`", GUIDE.partition("## Alerts")[0])
    )
    assert named == reported
