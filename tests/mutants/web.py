"""Careless changes of what every request passes: headers, limits, hosts, CSRF tokens, and the keys of forms."""

from .mutant import Mutant

HEADERS, SECURITY = "backoffice/security/headers.py", "tests/shell/test_security.py"
KEYS, OF_KEYS = "backoffice/web/idempotency.py", "tests/shell/test_idempotency.py"
PERMISSIONS = "tests/people/test_permissions.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "web-inline-styles-are-allowed",
        HEADERS,
        "style-src 'self';",
        "style-src 'self' 'unsafe-inline';",
        (f"{SECURITY}::test_the_policy_allows_nothing_inline",),
    ),
    Mutant(
        "web-plain-http-answer-asks-for-https",
        HEADERS,
        '    if is_encrypted and "strict-transport-security" not in there:\n',
        '    if "strict-transport-security" not in there:\n',
        (f"{SECURITY}::test_every_answer_carries_the_headers",),
    ),
    Mutant(
        "web-any-number-of-fields-is-read",
        HEADERS,
        ' or body.count(b"&") >= FIELD_LIMIT:',
        ":",
        (f"{SECURITY}::test_two_hundred_thousand_fields_are_refused",),
    ),
    Mutant(
        "web-forwarded-address-is-believed-without-a-proxy",
        HEADERS,
        'proxies = app.config["TRUSTED_PROXIES"]',
        'proxies = app.config["TRUSTED_PROXIES"] or 1',
        (f"{SECURITY}::test_forged_forwarding_headers_have_no_effect",),
    ),
    Mutant(
        "web-number-beyond-the-column-reaches-the-database",
        HEADERS,
        '**{"max": 2**63 - 1, **options}',
        "**options",
        (f"{SECURITY}::test_a_number_that_no_column_holds_is_simply_not_found",),
    ),
    Mutant(
        "web-header-of-a-token-passes-for-a-csrf-token",
        "backoffice/app/protection.py",
        'and g.get("program") is None:',
        'and "Authorization" not in request.headers:',
        (
            "tests/people/test_tokens.py::test_a_browser_that_posts_there_still_needs_its_csrf_token",
        ),
    ),
    Mutant(
        "web-only-put-needs-a-csrf-token",
        "backoffice/app/protection.py",
        'request.method in current_app.config["WTF_CSRF_METHODS"] and',
        'request.method == "PUT" and',
        (f"{PERMISSIONS}::test_nothing_that_changes_anything_is_accepted_without_its_csrf_token",),
    ),
    Mutant(
        "web-view-that-says-nothing-is-open",
        "backoffice/security/permissions.py",
        "    if permission is None:\n        raise",
        "    if permission is None:\n        return\n        raise",
        (f"{PERMISSIONS}::test_a_route_that_says_nothing_is_refused",),
    ),
    Mutant(
        "web-form-with-other-contents-gets-the-first-answer",
        KEYS,
        "    if earlier.body_digest != digest(body):\n        raise IdempotencyMismatch()\n",
        "",
        (f"{OF_KEYS}::test_another_body_under_the_same_key_is_refused",),
    ),
    Mutant(
        "web-form-sent-again-with-a-new-token-is-another-form",
        KEYS,
        "for name, value in pairs if name not in _NOT_PART_OF_THE_BODY]",
        "for name, value in pairs]",
        (f"{OF_KEYS}::test_the_digest_sees_contents_and_not_tokens_or_order",),
    ),
    Mutant(
        "web-form-without-a-key-is-accepted",
        KEYS,
        "    if not key or len(key) > LONGEST_KEY:\n",
        "    if len(key) > LONGEST_KEY:\n",
        (f"{OF_KEYS}::test_a_form_without_a_usable_key_is_refused",),
    ),
)
