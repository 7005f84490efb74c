"""A list's file for people, CSV for Excel in Indonesian, as tests read it: with points in its numbers."""

import csv
import io
import re
from typing import Any

from flask.testing import FlaskClient

NUMBER = re.compile(r"-?\d+,\d+")


def lines_for_people(client: FlaskClient, address: str, **options: Any) -> list[list[str]]:
    """The lines of the file, the footer among them; `address` is that of the file for programs."""
    answer = client.get(address.replace(".csv", ".csv-id", 1), **options)
    assert answer.status_code == 200, answer.text
    text = io.StringIO(answer.data.decode("utf-8-sig"), newline="")
    return [
        [cell.replace(",", ".") if NUMBER.fullmatch(cell) else cell for cell in line]
        for line in csv.reader(text, delimiter=";")
    ]


def text_for_people(client: FlaskClient, address: str, **options: Any) -> str:
    """The lines of the file with commas between the cells."""
    text = io.StringIO()
    csv.writer(text).writerows(lines_for_people(client, address, **options))
    return text.getvalue()
