"""The shell of every page: shortcuts, menus, themes, toasts, the entry grid; and all of it without JavaScript."""

import re

import pytest
from playwright.sync_api import expect

from backoffice.app.extensions import db
from backoffice.people import actions
from backoffice.people.models import WebSession

PASSWORD = "seventeen brown hens"

GRID = """
<form id="grid-form" method="post" action="/preferences">
  <table id="grid" class="entry" data-grid><tbody>
    <tr data-row><td><select data-column="kind"><option value="package">Package</option>
      <option value="promo">Promo</option></select></td>
      <td><input data-column="name"></td><td><input data-column="quantity" inputmode="decimal"></td></tr>
  </tbody></table>
  <button type="button" data-add-row>+</button>
</form>
"""


@pytest.fixture
def grid(browse):
    """A page with an entry grid; its button adds a row a moment later, as a server would."""
    page = browse("finance")
    page.goto("/profile")
    page.evaluate(
        """markup => {
            document.querySelector("main").innerHTML = markup;
            document.querySelector("[data-add-row]").addEventListener("click", () => setTimeout(() => {
                const rows = document.querySelectorAll("[data-row]");
                const row = rows[rows.length - 1].cloneNode(true);
                row.querySelectorAll("input").forEach(input => { input.value = "" });
                rows[0].parentNode.append(row);
            }, 30));
        }""",
        GRID,
    )
    return page


def cells(page):
    return page.evaluate(
        "[...document.querySelectorAll('[data-row]')].map(row => "
        "[...row.querySelectorAll('[data-column]')].map(cell => cell.value))"
    )


def paste(page, selector, block):
    page.focus(selector)
    page.evaluate(
        """([selector, block]) => {
            const data = new DataTransfer();
            data.setData("text/plain", block);
            document.querySelector(selector).dispatchEvent(new ClipboardEvent(
                "paste", {clipboardData: data, bubbles: true, cancelable: true}));
        }""",
        [selector, block],
    )


# ---------- the entry grid ----------


def test_enter_goes_down_and_makes_a_row_where_there_is_none(grid):
    grid.locator("[data-column=name]").first.fill("Queso")
    grid.keyboard.press("Enter")
    expect(grid.locator("[data-row]")).to_have_count(2)
    expect(grid.locator("[data-column=name]").nth(1)).to_be_focused()
    grid.keyboard.type("Tofu")
    assert [row[1] for row in cells(grid)] == ["Queso", "Tofu"]
    grid.keyboard.press("Shift+Enter")
    assert grid.evaluate("document.activeElement.value") == "Queso"
    assert grid.evaluate("document.querySelectorAll('[data-row]').length") == 2


def test_a_block_from_a_spreadsheet_fills_cells_and_adds_rows(grid):
    block = 'Package\tQueso\t12\r\npromo\t"Two\nlines, ""quoted"""\t3.5\r\n\r\nPackage\tTofu\t1\r\n'
    paste(grid, "[data-column=kind]", block)
    expect(grid.locator("[data-row]")).to_have_count(3)
    expect(grid.locator("[data-column=quantity]").nth(2)).to_have_value("1")
    assert cells(grid) == [
        ["package", "Queso", "12"],
        ["promo", 'Twolines, "quoted"', "3.5"],  # a text input has no line break
        ["package", "Tofu", "1"],
    ]


def test_a_block_starts_at_the_cell_it_is_pasted_into(grid):
    paste(grid, "[data-column=quantity]", "1\n2")
    expect(grid.locator("[data-column=quantity]").nth(1)).to_have_value("2")
    assert [row[2] for row in cells(grid)] == ["1", "2"]


def test_a_single_cell_pastes_as_the_browser_pastes_it(grid):
    paste(grid, "[data-column=name]", "Queso\r\n")
    assert cells(grid) == [
        ["package", "", ""]
    ]  # a synthetic event inserts nothing: no handler prevented it


def test_a_block_goes_to_the_server_where_the_grid_names_an_address(grid):
    grid.route("**/paste-here", lambda route: route.fulfill(status=204))
    grid.evaluate("document.querySelector('[data-grid]').dataset.pasteUrl = '/paste-here'")
    with grid.expect_request("**/paste-here") as sent:
        paste(grid, "[data-column=name]", "a\tb\nc\td")
    body = sent.value.post_data
    assert "block=a%09b%0Ac%09d" in body
    assert "row=0" in body
    assert "column=name" in body
    assert sent.value.headers["x-csrftoken"]


# ---------- numbers ----------


REGROUPED = [
    ("en", "1000000", "1,000,000"),
    ("en", "1234567.5", "1,234,567.5"),
    ("en", "1,0000", "1,0000"),
    ("en", "1.500", "1.500"),
    ("en", "12,34", "12,34"),
    ("en", "-4500", "-4,500"),
    ("en", "007", "007"),
    ("en", "1e9", "1e9"),
    ("en", "1 000", "1 000"),
    ("en", "", ""),
    ("en", "9999999999999.99", "9,999,999,999,999.99"),
    ("id", "1000000", "1.000.000"),
    ("id", "1234567,5", "1.234.567,5"),
    ("id", "1,500", "1,500"),
    ("id", "1000.5", "1000.5"),
    ("plain", "1000000", "1000000"),
    ("plain", "1,000", "1,000"),
]


def test_a_number_is_regrouped_when_its_field_is_left_but_never_when_in_doubt(grid):
    quantity, seen = grid.locator("[data-column=quantity]").first, []
    for number_format, typed, _ in REGROUPED:
        grid.evaluate(
            "format => { document.documentElement.dataset.numberFormat = format }", number_format
        )
        quantity.fill(typed)
        assert quantity.input_value() == typed  # never while the user types
        quantity.blur()
        seen.append((number_format, typed, quantity.input_value()))
    assert seen == REGROUPED


# ---------- keyboard shortcuts ----------


def test_keys_find_make_and_explain(browse):
    page = browse("finance")
    page.goto("/profile")
    page.keyboard.press("/")
    expect(page.locator("[data-focus-key='/']")).to_be_focused()
    page.keyboard.type("n?/")
    assert page.locator("[data-focus-key='/']").input_value() == "n?/"
    page.locator("main").click()
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#shortcuts")).to_be_hidden()
    page.keyboard.press("n")
    page.wait_for_url("**/orders/new")


def test_single_keys_can_be_switched_off(browse):
    page = browse("finance")
    page.goto("/profile")
    page.keyboard.press("?")
    page.locator("[data-single-keys]").uncheck()
    page.keyboard.press("Escape")
    page.reload()
    page.keyboard.press("/")
    page.keyboard.press("n")
    expect(page.locator("[data-focus-key='/']")).not_to_be_focused()
    assert page.url.endswith("/profile")


def test_ctrl_s_saves(browse):
    page = browse("finance")
    page.goto("/profile")
    page.locator("#number_format").select_option("plain")
    page.keyboard.press("Control+s")
    expect(page.locator(".notice-success")).to_contain_text("saved")
    assert page.locator("html").get_attribute("data-number-format") == "plain"


def test_the_keyboard_reaches_the_content_past_the_navigation(browse):
    page = browse("admin")
    page.goto("/settings/users")
    page.keyboard.press("Tab")
    expect(page.locator(".skip-link")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_escape_closes_a_menu_and_a_click_beside_it_too(browse):
    page = browse("finance")
    page.goto("/profile")
    menu = page.locator("details.menu-user")
    menu.locator("summary").click()
    expect(menu).to_have_attribute("open", "")
    page.keyboard.press("Escape")
    expect(menu).not_to_have_attribute("open", "")
    expect(menu.locator("summary")).to_be_focused()
    menu.locator("summary").click()
    page.locator("h1").click()
    expect(menu).not_to_have_attribute("open", "")


# ---------- unsaved changes ----------


def test_unsaved_changes_are_not_lost_without_a_question(browse):
    page = browse("finance")
    questions = []
    page.on("dialog", lambda dialog: (questions.append(dialog.type), dialog.dismiss()))
    page.goto("/profile")
    page.locator("#number_format").select_option("id")
    with page.expect_event("dialog"):
        page.locator("a.brand").click()
    assert questions == ["beforeunload"]
    assert page.url.endswith("/profile")
    page.locator("#number_format").select_option("en")
    page.locator("a.brand").click()
    page.wait_for_url("**/today")
    assert questions == ["beforeunload"]


def test_a_second_click_sends_nothing(browse):
    page = browse("finance")
    page.goto("/profile")
    sent = []
    page.on(
        "request", lambda request: sent.append(request.method) if request.method == "POST" else None
    )
    page.route("**/profile", lambda route: (page.wait_for_timeout(0), route.continue_()))
    page.evaluate(
        "() => { const form = document.querySelector('form[data-save]');"
        " form.requestSubmit(); form.requestSubmit(); form.requestSubmit(); }"
    )
    expect(page.locator(".notice-success")).to_be_visible()
    assert sent == ["POST"]


# ---------- failures ----------


def test_an_expired_session_leads_to_the_sign_in_page_and_back(app, browse, session):
    page = browse("admin")
    page.goto("/settings/users")
    with app.app_context():
        db.session.execute(WebSession.__table__.delete())
        db.session.commit()
    page.locator("#q").fill("ayu")
    page.wait_for_url(re.compile(r"/login\?next=/settings/users"))


def test_trouble_during_a_swap_is_a_toast_and_leaves_the_page_alone(browse, axe):
    page = browse("admin")
    page.goto("/settings/users")
    before = page.locator("#results").inner_html()
    answer = {"body": "<h1>A page of a proxy</h1>"}
    page.route("**/settings/users?**", lambda route: route.fulfill(**answer))
    for status in (503, 500, 502, 409, 403):
        says_why = status in (409, 403)
        headers = {"HX-Reswap": "none"}
        if says_why:
            headers["HX-Trigger"] = '{"toast": {"kind": "error", "message": "No, because."}}'
        answer |= {"status": status, "headers": headers}
        page.locator("#q").fill(f"ayu {status}")
        words = "No, because." if says_why else "on our side"
        expect(page.locator(".toast-note p"), str(status)).to_contain_text(words)
        expect(page.locator(".toast-note"), str(status)).to_have_count(1)
        assert page.locator("#results").inner_html() == before, status
        axe(page)
        page.locator(".toast-note button").click()
        expect(page.locator(".toast-note"), str(status)).to_have_count(0)


def test_a_lost_network_is_one_toast_however_much_one_types(browse):
    page = browse("admin")
    page.goto("/settings/users")
    page.route("**/settings/users?**", lambda route: route.abort())
    for text in ("a", "ay", "ayu"):
        with page.expect_event("requestfailed"):
            page.locator("#q").fill(text)
    expect(page.locator(".toast-note")).to_have_count(1)
    expect(page.locator(".toast-note p")).to_contain_text("cannot be reached")


def test_the_focus_goes_to_the_summary_of_errors_and_from_there_to_the_field(browse):
    page = browse("admin")
    page.goto("/settings/users/new")
    page.locator("main button[type=submit]").click()
    expect(page.locator("[data-error-summary]")).to_be_focused()
    page.locator("[data-error-summary] a").first.click()
    expect(page.locator("#name")).to_be_focused()
    assert page.locator("#name").get_attribute("aria-describedby") == "name-error"


# ---------- looks ----------


@pytest.mark.parametrize("device", ["light", "dark"])
def test_without_a_choice_the_theme_follows_the_device(open_page, device):
    page = open_page(theme="auto", color_scheme=device)
    page.goto("/login")
    background = page.evaluate("getComputedStyle(document.querySelector('.gate')).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (device == "light")


def test_an_explicit_theme_outranks_the_device_and_is_remembered(browse):
    page = browse("finance", theme="auto", color_scheme="light")
    page.goto("/profile")
    page.locator(".topbar-end [name=theme][value=dark]").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    assert page.url.endswith("/profile")
    assert (
        page.evaluate("getComputedStyle(document.querySelector('main')).backgroundColor")
        != "rgb(255, 255, 255)"
    )


def test_searching_users_swaps_the_results_only_and_keeps_the_address(browse, session):
    actions.create_user(session, email="ayu@northwind.example", name="Ayu", role="viewer")
    session.commit()
    page = browse("admin")
    page.goto("/settings/users")
    page.locator("#q").press_sequentially("ayu", delay=30)
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("#q")).to_be_focused()
    page.wait_for_url("**/settings/users?q=ayu**")
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(1)


# ---------- without JavaScript ----------


def test_everything_works_without_javascript(open_page, session):
    actions.create_user(
        session, email="eka@northwind.example", name="Eka", role="admin", password=PASSWORD
    )
    actions.create_user(session, email="ayu@northwind.example", name="Ayu", role="viewer")
    session.commit()
    page = open_page(width="narrow", java_script_enabled=False)
    page.goto("/settings/users?role=viewer")
    page.locator("[name=email]").fill("eka@northwind.example")
    page.locator("[name=password]").fill(PASSWORD)
    page.locator(".gate button[type=submit]").click()
    page.wait_for_url("**/settings/users?role=viewer")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.locator("#role").select_option("admin")
    page.locator("main .filters button").click()
    page.locator("tbody a.row-link").first.click()
    expect(page.locator("h1")).to_have_text("Eka")
    page.locator("details.menu-nav summary").click()
    page.locator(".menu-nav [name=language][value=id]").click()
    expect(page.locator("html")).to_have_attribute("lang", "id")
    page.locator("details.menu-user summary").click()
    page.get_by_role("button", name="Keluar").click()
    page.wait_for_url("**/login")
