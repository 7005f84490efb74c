"""The answers of `/metrics`, as Prometheus parses them."""

from prometheus_client.parser import text_string_to_metric_families

from backoffice.people import tokens


class Readings:
    """The text of `/metrics`, as Prometheus reads it."""

    def __init__(self, written):
        self.families = list(text_string_to_metric_families(written))

    def all(self, name, **labels):
        samples = (s for family in self.families for s in family.samples)
        return [s.value for s in samples if s.name == name and labels.items() <= s.labels.items()]

    def one(self, name, **labels):
        (value,) = self.all(name, **labels)
        return value

    def names(self):
        """Every name that an expression may use."""
        return {name for family in self.families for name in _names_of(family)}

    def labels(self):
        return {label for family in self.families for s in family.samples for label in s.labels}


def token(session):
    """A secret for Prometheus."""
    issued = tokens.create(session, name="prometheus", scope="metrics", expires_at=None)
    session.commit()
    return issued.secret


def read_anew(app, secret):
    """The readings without any cached answer."""
    if "metrics" in app.extensions:
        app.extensions["metrics"].forget()
    answer = app.test_client().get("/metrics", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 200, answer.text
    return Readings(answer.text)


def _names_of(family):
    if family.type == "histogram":
        return {f"{family.name}_{part}" for part in ("bucket", "count", "sum")}
    return {f"{family.name}_total"} if family.type == "counter" else {family.name}
