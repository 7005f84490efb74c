"""The other side of (o): the same orders, declared in a Django project with django-computedfields."""

from psycopg.conninfo import conninfo_to_dict


def connect(url: str) -> None:
    """Set Django up on the database of `url` (libpq's form), once in a process.

    With its fastest options: connections are kept open, and computed columns are written by
    django-fast-update, one statement for up to 10,000 rows.
    """
    import django
    from django.conf import settings

    parts = conninfo_to_dict(url)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts["dbname"],
        "USER": parts.get("user", ""),
        "PASSWORD": parts.get("password", ""),
        "HOST": parts["host"],
        "PORT": str(parts.get("port", "")),
        "CONN_MAX_AGE": None,
    }
    settings.configure(
        DATABASES={"default": database},
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "computedfields",
            "benchmarks.computed_fields",
        ],
        COMPUTEDFIELDS_FASTUPDATE=True,
        LOGGING_CONFIG=None,
        USE_TZ=True,
    )
    django.setup()
