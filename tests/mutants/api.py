"""Careless changes of the API: scopes, versions, keys, cursors, arguments and errors."""

from .mutant import Mutant

API, ARGUMENTS = "backoffice/records/api.py", "backoffice/records/query_arguments.py"
ACTIONS, FIELDS = "backoffice/records/actions.py", "backoffice/records/fields.py"
OF_API, BOOKING = "tests/records/test_api.py", "tests/records/test_booking.py"
VERSIONS = (f"{OF_API}::test_a_change_needs_the_present_version",)
SCOPES = (f"{OF_API}::test_only_a_token_of_the_right_scope_opens_anything",)
NO_RECORD = (f"{OF_API}::test_what_is_no_record_at_all_is_refused_with_what_to_send",)
CURSORS = (f"{OF_API}::test_no_letter_and_no_cursor_brings_it_down",)
BOOKED = (f"{BOOKING}::test_what_was_booked_is_listed_in_pages_with_filters_and_totals",)

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "api-token-that-reads-may-write",
        API,
        "{'read' if is_reading else 'write'}",
        "{'read' if method != 'PATCH' else 'write'}",
        SCOPES,
    ),
    Mutant(
        "api-version-is-not-compared",
        ACTIONS,
        "    if record.version_of(row) != version:\n",
        "    if record.version_of(row) < version:\n",
        VERSIONS,
    ),
    Mutant(
        "api-version-is-not-required",
        API,
        "    if not text.isascii() or not text.isdigit() or len(text) > 9:\n",
        '    text = text or "1"\n    if not text.isascii() or not text.isdigit() or len(text) > 9:\n',
        VERSIONS,
    ),
    Mutant(
        "api-repeated-request-acts-again",
        API,
        "is_once=not is_reading and not keeps_key)",
        "is_once=False)",
        (f"{OF_API}::test_a_repetition_under_its_key_has_one_effect",),
    ),
    Mutant(
        "api-page-that-is-just-full-has-a-next-one",
        API,
        "return found[:size], len(found) > size",
        "return found[:size], len(found) >= size",
        BOOKED,
    ),
    Mutant(
        "api-cursor-of-another-order-is-accepted",
        ARGUMENTS,
        "    if sorted_by != sort:\n",
        "    if sorted_by is None:\n",
        CURSORS,
    ),
    Mutant(
        "api-next-page-loses-its-filters",
        API,
        "                **request.args.to_dict(),\n",
        "",
        BOOKED,
    ),
    Mutant(
        "api-list-of-contents-has-those-of-others",
        API,
        "return whole.rows(user).where(held.of == row.id)",
        "return whole.rows(user)",
        BOOKED,
    ),
    Mutant(
        "api-content-is-shown-under-another-record",
        API,
        "        if getattr(found, held.of.key) != row.id:\n            raise RecordNotFound()\n",
        "",
        BOOKED,
    ),
    Mutant(
        "api-unknown-field-is-ignored",
        API,
        "    unknown = [name for name in body if name not in known]\n",
        "    body = {name: sent for name, sent in body.items() if name in known}\n"
        "    unknown = [name for name in body if name not in known]\n",
        NO_RECORD,
    ),
    Mutant(
        "api-unknown-argument-is-ignored",
        ARGUMENTS,
        '            raise ArgumentUnknown(argument=name[:100], known=", ".join(sorted(known)))\n',
        "            continue\n",
        NO_RECORD,
    ),
    Mutant(
        "api-argument-that-a-screen-ignores-is-ignored",
        ARGUMENTS,
        "            is_usable &= text == state.values.get(name)\n",
        "            is_usable &= state.values.get(name, text) == text\n",
        NO_RECORD,
    ),
    Mutant(
        "api-page-of-any-size",
        ARGUMENTS,
        "len(text) < 6 and 1 <= int(text) <= LARGEST_PAGE",
        "len(text) < 6 and 1 <= int(text)",
        NO_RECORD,
    ),
    Mutant(
        "api-amount-as-a-json-number-is-accepted",
        FIELDS,
        "        is_number = isinstance(sent, str) and re.fullmatch(_NUMBER, sent, re.ASCII)\n",
        "        is_number = re.fullmatch(_NUMBER, str(sent), re.ASCII)\n",
        (f"{OF_API}::test_what_is_no_record_at_all_is_refused_with_what_to_send",),
    ),
    Mutant(
        "api-error-of-a-line-names-another-line",
        "backoffice/records/lines.py",
        "    for number, line in enumerate(sent):\n",
        "    for number, line in enumerate(sent, 1):\n",
        (f"{OF_API}::test_every_field_of_every_sent_line_is_refused_at_its_place",),
    ),
    Mutant(
        "records-code-that-looks-like-another-is-saved",
        "backoffice/records/forms.py",
        "        if isinstance(field, Text) and not is_stored and other is None:\n",
        "        if isinstance(field, Text) and is_stored and other is None:\n",
        ("tests/records/test_lookalikes.py::test_a_code_that_looks_like_another_is_refused",),
    ),
    Mutant(
        "records-similar-codes-are-saved-at-once",
        "backoffice/records/forms.py",
        "            lock_look(session, field.column, control.data)\n",
        "",
        (
            "tests/records/test_lookalikes.py::test_of_two_that_enter_similar_codes_at_once_one_is_refused",
        ),
    ),
    Mutant(
        "records-stranger-is-told-the-new-name",
        "backoffice/records/listing.py",
        "    return None if row_id is None else row_with_id(session, record, user, row_id)\n",
        "    return None if row_id is None else session.get(record.model, row_id)\n",
        ("tests/records/test_former_names.py::test_an_old_address_tells_no_stranger_the_new_name",),
    ),
    Mutant(
        "api-write-to-a-former-name-changes-the-renamed-record",
        "backoffice/records/former_addresses.py",
        "    if row is not None and request.method not in READING:\n",
        "    if False:\n",
        (
            "tests/records/test_former_names.py::test_a_write_to_a_former_name_changes_nothing",
            "tests/records/test_former_names.py::test_a_repeated_deletion_deletes_no_renamed_record",
        ),
    ),
    Mutant(
        "records-former-name-leads-to-the-first-owner",
        "backoffice/records/former_names.py",
        "        .order_by(former, AuditEvent.id.desc())\n",
        "        .order_by(former, AuditEvent.id)\n",
        ("tests/records/test_former_names.py::test_of_two_former_owners_a_code_leads_to_the_last",),
    ),
    Mutant(
        "api-letter-that-postgresql-cannot-store-is-accepted",
        FIELDS,
        '    return is_whole and not any("\\ud800" <= letter <= "\\udfff" for letter in sent)\n',
        "    return is_whole\n",
        CURSORS,
    ),
    Mutant(
        "api-refusal-with-a-status-of-its-own-becomes-422",
        API,
        "        if refusal.status != UNPROCESSABLE or not form.shows(refusal):\n",
        "        if not form.shows(refusal):\n",
        (f"{BOOKING}::test_a_refusal_keeps_its_status_its_type_and_what_programs_read_beside_it",),
    ),
)
