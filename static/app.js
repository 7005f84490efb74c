// The little that HTML and htmx do not do by themselves. Every page works without it.
// Never computes an amount: what is typed is regrouped as text, and the server reads it.
"use strict";

(() => {
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const toasts = one("#toasts");

  // ---------- htmx: the CSRF header, and errors as toasts ----------

  document.addEventListener("htmx:config:request", (event) => {
    const token = one('meta[name="csrf-token"]')?.content;
    if (token) event.detail.ctx.request.headers["X-CSRFToken"] = token;
  });

  function toast(kind, message) {
    if (!message || all("p", toasts).some((shown) => shown.textContent === message)) return;
    const note = document.createElement("div");
    note.className = `toast-note toast-${kind === "success" || kind === "error" ? kind : "info"}`;
    const text = document.createElement("p");
    text.textContent = message;
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "×";
    close.ariaLabel = toasts.dataset.close;
    close.addEventListener("click", () => note.remove());
    note.append(text, close);
    toasts.append(note);
    if (kind !== "error") setTimeout(() => note.remove(), 6000);
  }

  document.addEventListener("toast", (event) => toast(event.detail.kind, event.detail.message));
  document.addEventListener("htmx:response:error", (event) => {
    const { response, hx } = event.detail.ctx;
    if (response.status >= 500 && !hx?.trigger) toast("error", toasts.dataset.broken);
  });
  document.addEventListener("htmx:error", (event) => {
    if (event.detail.ctx && !event.detail.ctx.response) toast("error", toasts.dataset.lost);
  });

  // ---------- what is typed before htmx listens: told to it once it does ----------

  const early = new Map();
  const remember = (event) => early.set(event.target, event.type);
  for (const type of ["input", "change"]) document.addEventListener(type, remember);
  document.addEventListener(
    "htmx:after:process",
    () => {
      for (const type of ["input", "change"]) document.removeEventListener(type, remember);
      for (const [field, type] of early) field.dispatchEvent(new Event(type, { bubbles: true }));
    },
    { once: true },
  );

  // ---------- an ended session: what is typed stays, and is saved after signing in again ----------

  const ended = one("#session-ended");
  const windows = new BroadcastChannel("backoffice-session");

  function askToSignIn(user) {
    one("[data-if-nobody]", ended).hidden = Boolean(user);
    one("[data-if-user]", ended).hidden = !user;
    one("[data-user]", ended).textContent = user;
    if (!ended.open) ended.showModal();
  }

  // Whether whoever opened this page is signed in now; then its forms get a token of the present session.
  async function isStillMine() {
    const answer = await fetch(ended.dataset.who, { headers: { Accept: "application/json" } }).catch(() => null);
    if (answer?.status === 401) askToSignIn("");
    else if (!answer?.ok) toast("error", toasts.dataset.lost);
    if (!answer?.ok) return false;
    const { user, name, token } = await answer.json();
    if (user !== ended.dataset.user) {
      askToSignIn(name);
      return false;
    }
    one('meta[name="csrf-token"]').content = token;
    for (const input of all('input[name="csrf_token"]')) input.value = token;
    return true;
  }

  async function lookWhoItIs() {
    if (!(await isStillMine())) return;
    ended.close();
    toast("success", ended.dataset.again);
  }

  // A form that leaves its page takes along what is typed; so it asks before, and stays if need be.
  async function sendIfMine(form, button) {
    if (!(await isStillMine())) return;
    form.dataset.asked = "1";
    form.requestSubmit(button);
    delete form.dataset.asked;
  }

  if (ended) {
    const lookIfAsking = () => ended.open && lookWhoItIs();
    document.addEventListener("sessionEnded", () => askToSignIn(""));
    document.addEventListener("sessionChanged", lookWhoItIs);
    windows.addEventListener("message", lookIfAsking);
    addEventListener("focus", lookIfAsking);
    if (one("[data-signed-in]")) windows.postMessage("signed in");
  }

  // ---------- numbers: regrouped when the field is left, never when in doubt ----------

  const FORMATS = { en: [",", "."], id: [".", ","], plain: ["", "."] };

  function regrouped(text, format) {
    const [group, point] = FORMATS[format] ?? FORMATS.plain;
    const escaped = group && `\\${group}`;
    const whole = group ? `\\d{1,3}(?:${escaped}\\d{3})+|\\d+` : "\\d+";
    const match = new RegExp(`^(-?)(${whole})(?:\\${point}(\\d*))?$`).exec(text.trim());
    if (!match) return text;
    const [, sign, typed, fraction] = match;
    const digits = group ? typed.replaceAll(group, "") : typed;
    if (digits.length > 1 && digits.startsWith("0")) return text;
    if (fraction?.length === 3 && typed === digits && digits.length <= 3) return text; // 1.500: or 1500?
    const grouped = digits.replace(/\B(?=(\d{3})+$)/g, group);
    return sign + grouped + (fraction === undefined ? "" : point + fraction);
  }

  document.addEventListener("focusout", (event) => {
    const input = event.target;
    if (!input.matches?.('input[inputmode="decimal"]')) return;
    const better = regrouped(input.value, document.documentElement.dataset.numberFormat);
    if (better !== input.value) input.value = better;
  });

  // ---------- unsaved changes, double clicks, questions ----------

  const saved = new WeakMap();
  let leaving = false;

  function contents(form) {
    const data = new FormData(form);
    data.delete("csrf_token");
    return new URLSearchParams(data).toString();
  }

  function isChanged(form) {
    return one("[data-error-summary]", form) !== null || saved.get(form) !== contents(form);
  }

  function watchForms() {
    for (const form of all("form[data-warn-unsaved]")) {
      if (!saved.has(form)) saved.set(form, contents(form));
    }
  }

  addEventListener("beforeunload", (event) => {
    if (!leaving && all("form[data-warn-unsaved]").some(isChanged)) event.preventDefault();
  });
  document.addEventListener("htmx:after:request", (event) => {
    const { hx, request } = event.detail.ctx;
    if (hx?.redirect && request.method !== "GET") leaving = true; // what is only looked up saves nothing
  });
  addEventListener("pageshow", () => {
    leaving = false;
    for (const form of all("form[data-sending]")) delete form.dataset.sending;
    for (const words of all("[data-busy]")) words.hidden = true;
  });

  document.addEventListener(
    "submit",
    (event) => {
      const form = event.target;
      if (form.dataset.confirm && !confirm(form.dataset.confirm)) {
        event.preventDefault();
        event.stopPropagation();
      } else if (form.method === "post" && !form.matches("[hx-post], [hx-put], [hx-patch]")) {
        if (ended && form.matches("[data-warn-unsaved]") && !form.dataset.asked) {
          event.preventDefault();
          sendIfMine(form, event.submitter);
          return;
        }
        if (form.dataset.sending) event.preventDefault();
        form.dataset.sending = "1";
        for (const words of all("[data-busy]", form)) words.hidden = false;
        if (form.matches("[data-warn-unsaved]")) leaving = true;
      }
    },
    true,
  );

  // ---------- the entry grid: Enter goes down, a block from a spreadsheet fills cells ----------

  const cellOf = (element) => element.closest?.("[data-grid] [data-row] [data-column]");
  const rowsOf = (grid) => all("[data-row]", grid);
  const inRow = (row, column) => row && one(`[data-column="${CSS.escape(column)}"]`, row);
  const present = (grid) => (grid.id && document.getElementById(grid.id)) || grid;

  // Presses the grid's own button for a new row; answers when the row is there, or false after 5 s.
  function addRow(grid) {
    const button = one("[data-add-row]", grid) ?? one("[data-add-row]", grid.closest("form") ?? document);
    if (!button) return Promise.resolve(false);
    const before = rowsOf(grid).length;
    return new Promise((resolve) => {
      const done = (result) => {
        observer.disconnect();
        clearTimeout(timer);
        resolve(result);
      };
      const observer = new MutationObserver(() => rowsOf(present(grid)).length > before && done(true));
      const timer = setTimeout(() => done(false), 5000);
      observer.observe(document.body, { childList: true, subtree: true });
      button.click();
    });
  }

  async function step(cell, direction) {
    let grid = cell.closest("[data-grid]");
    const index = rowsOf(grid).indexOf(cell.closest("[data-row]")) + direction;
    if (index < 0) return;
    if (index >= rowsOf(grid).length && !(await addRow(grid))) return;
    grid = present(grid);
    const next = inRow(rowsOf(grid)[index], cell.dataset.column);
    next?.focus();
    next?.select?.();
  }

  // Cells of a block as spreadsheets copy it: tabs and newlines, quoted where a cell holds one.
  function cellsOf(block) {
    const rows = [[]];
    const pattern = /(?:"((?:[^"]|"")*)"|([^\t\r\n]*))(\t|\r?\n|$)/gy;
    let match;
    while (pattern.lastIndex <= block.length && (match = pattern.exec(block))) {
      rows.at(-1).push(match[1] === undefined ? match[2] : match[1].replaceAll('""', '"'));
      if (match[3] === "") break;
      if (match[3] !== "\t") rows.push([]);
    }
    return rows.filter((row) => row.some((cell) => cell.trim() !== ""));
  }

  function enter(input, value) {
    const text = value.trim();
    if (input.tagName === "SELECT") {
      const same = (option) => [option.value, option.text].some((name) => name.toLowerCase() === text.toLowerCase());
      const option = [...input.options].find(same);
      if (!option) return;
      input.value = option.value;
    } else {
      input.value = text;
    }
    input.dispatchEvent(new Event("input", { bubbles: true }));
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  async function fill(cell, block) {
    let grid = cell.closest("[data-grid]");
    const start = rowsOf(grid).indexOf(cell.closest("[data-row]"));
    const columns = all("[data-column]", cell.closest("[data-row]")).map((input) => input.dataset.column);
    const from = columns.indexOf(cell.dataset.column);
    for (const [offset, values] of cellsOf(block).entries()) {
      if (start + offset >= rowsOf(grid).length && !(await addRow(grid))) return;
      grid = present(grid);
      values.forEach((value, position) => {
        const column = columns[from + position];
        const input = column && inRow(rowsOf(grid)[start + offset], column);
        if (input && !input.disabled && !input.readOnly) enter(input, value);
      });
    }
  }

  // What the server fills in goes where nobody has typed since it was asked.
  document.addEventListener("fill", (event) => {
    for (const { id, was, now } of event.detail.fields) {
      const input = document.getElementById(id);
      if (input?.value !== was) continue;
      input.value = now;
      if (input === document.activeElement) input.select();
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }
  });

  // A row that goes takes the focus along; it is put on the row that moves up, or on the way to a new one.
  let focusAfterRemoval = null;
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-remove-row]");
    if (!button) return;
    const row = button.closest("[data-row]");
    const near = row.nextElementSibling ?? row.previousElementSibling;
    focusAfterRemoval = (near && one("[data-remove-row]", near)) ?? one("[data-add-row]", row.closest("[data-grid]"));
  });
  document.addEventListener("linesChanged", () => {
    if (document.activeElement === document.body) focusAfterRemoval?.focus();
    focusAfterRemoval = null;
  });

  document.addEventListener("paste", (event) => {
    const cell = cellOf(event.target);
    const block = event.clipboardData?.getData("text/plain") ?? "";
    if (!cell || !/[\t\n]/.test(block.replace(/\r?\n$/, ""))) return;
    event.preventDefault();
    const grid = cell.closest("[data-grid]");
    if (!grid.dataset.pasteUrl) {
      fill(cell, block);
      return;
    }
    const row = rowsOf(grid).indexOf(cell.closest("[data-row]"));
    const values = { block, row, column: cell.dataset.column };
    window.htmx.ajax("POST", grid.dataset.pasteUrl, { source: grid, values });
  });

  // What an answer makes room for (a note under the total) must not push the typed field out of sight.
  function keepInView() {
    const field = document.activeElement;
    if (field?.closest?.("form[data-save]")) field.scrollIntoView({ block: "nearest" });
  }

  // ---------- lists: how many rows are ticked; all of the page at once; print ----------

  const boxes = () => all('input[name="id"][form="selection"]');

  function countTicked() {
    const form = one("form[data-selection]");
    if (!form) return;
    const ticked = boxes().filter((box) => box.checked).length;
    one("[data-selected]", form).textContent = ticked ? `${ticked} ${form.dataset.selection}` : "";
    one('[name="selected"]', form).disabled = ticked === 0;
    const every = one("[data-select-all]");
    every.hidden = false;
    every.checked = ticked > 0 && ticked === boxes().length;
    every.indeterminate = ticked > 0 && !every.checked;
  }

  document.addEventListener("change", ({ target }) => {
    if (target.matches?.("[data-select-all]")) for (const box of boxes()) box.checked = target.checked;
    if (target.matches?.('[data-select-all], [form="selection"]')) countTicked();
  });
  document.addEventListener("click", ({ target }) => {
    if (target.closest?.("[data-print]")) print();
  });
  addEventListener("pageshow", countTicked);
  document.addEventListener("htmx:after:settle", countTicked);
  for (const button of all("[data-print]")) button.hidden = false;

  // ---------- the search: what fits is listed as one types; arrows choose, Enter opens, Escape closes ----------

  const search = one("[data-search]");
  const found = one("#search-found");
  const chosen = () => one('[aria-selected="true"]', found);
  let closedAt = null; // what stood in the field when the list was closed: its answer may still come

  function choose(option) {
    chosen()?.setAttribute("aria-selected", "false");
    option?.setAttribute("aria-selected", "true");
    option?.scrollIntoView({ block: "nearest" });
    if (option) search.setAttribute("aria-activedescendant", option.id);
    else search.removeAttribute("aria-activedescendant");
  }

  function showFound(isWanted) {
    const list = one('[role="listbox"]', found);
    choose(null);
    found.hidden = !isWanted || !search.value.trim() || found.childElementCount === 0;
    const isOpen = !found.hidden && list !== null;
    search.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) search.setAttribute("aria-controls", list.id);
    else search.removeAttribute("aria-controls");
  }

  function walkFound(key) {
    if (found.hidden) return showFound(true);
    const places = [null, ...all('[role="option"]', found)];
    const step = key === "ArrowDown" ? 1 : -1;
    choose(places.at((places.indexOf(chosen()) + step) % places.length));
  }

  function pressInSearch(event) {
    if (event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      walkFound(event.key);
    } else if (event.key === "Enter" && chosen()) {
      event.preventDefault();
      chosen().click();
    } else if (event.key === "Escape" && !found.hidden) {
      event.preventDefault(); // what is typed stays; the browser empties the field at the next one
      closedAt = search.value;
      showFound(false);
    }
  }

  if (search) {
    search.role = "combobox";
    search.setAttribute("aria-autocomplete", "list");
    search.setAttribute("aria-expanded", "false");
    search.addEventListener("keydown", pressInSearch);
    search.addEventListener("input", () => {
      closedAt = null;
      if (!search.value.trim()) showFound(false);
    });
    search.form.addEventListener("focusout", ({ relatedTarget }) => {
      if (!search.form.contains(relatedTarget)) showFound(false);
    });
    search.addEventListener("focus", () => showFound(true));
    document.addEventListener("htmx:after:settle", () => {
      if (document.activeElement === search && closedAt !== search.value) showFound(true);
    });
  }

  // ---------- keys ----------

  const singleKeys = one("[data-single-keys]");
  const singleKeysAreOn = () => localStorage.getItem("single-keys") !== "off";
  // A dialog that was closed a moment ago keeps the focus until the page is drawn again.
  const isTyping = (element) => element.closest?.("input, textarea, select, [contenteditable], dialog[open]");
  const isVisible = (element) => element.checkVisibility?.() ?? true;
  const showShortcuts = () => one("#shortcuts")?.showModal();

  function save() {
    const form = document.activeElement?.closest("form[data-save]") ?? one("form[data-save]");
    form?.requestSubmit();
    return form !== null;
  }

  // In a list, j and k go from row to row; Enter then opens the row as it does any link.
  function walk(key) {
    const links = all("[data-list] .row-link").filter(isVisible);
    const here = links.indexOf(document.activeElement);
    const next = links[here < 0 ? 0 : here + (key === "j" ? 1 : -1)];
    next?.focus();
    return next;
  }

  function press(key) {
    if (key === "?") return showShortcuts();
    const field = one(`[data-focus-key="${CSS.escape(key)}"]`);
    const keyed = `[data-key="${CSS.escape(key)}"]`; // the page's own comes before the shell's
    const button = [...all(`main ${keyed}`), ...all(keyed)].find(isVisible);
    field?.focus();
    field?.select();
    button?.click();
    return field ?? button ?? (key === "j" || key === "k" ? walk(key) : undefined);
  }

  document.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "s") {
      if (save()) event.preventDefault();
    } else if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
      const another = one("form[data-save] [data-another]");
      another?.form.requestSubmit(another);
      if (another || save()) event.preventDefault();
    } else if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    } else if (event.key === "Escape") {
      for (const menu of all("details.menu[open]")) {
        menu.open = false;
        one("summary", menu).focus();
      }
    } else if (event.key === "Enter" && cellOf(event.target) && event.target.tagName !== "TEXTAREA") {
      event.preventDefault();
      step(cellOf(event.target), event.shiftKey ? -1 : 1);
    } else if (event.key.length === 1 && singleKeysAreOn() && !isTyping(event.target)) {
      if (press(event.key)) event.preventDefault();
    }
  });

  document.addEventListener("click", (event) => {
    for (const menu of all("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
    if (event.target.closest?.("[data-shortcuts]")) showShortcuts();
  });

  if (singleKeys) {
    singleKeys.checked = singleKeysAreOn();
    singleKeys.addEventListener("change", () =>
      localStorage.setItem("single-keys", singleKeys.checked ? "on" : "off"),
    );
  }
  for (const button of all("[data-shortcuts]")) button.hidden = false;
  // A corrected cell is no longer called wrong; the server judges it again on saving.
  document.addEventListener("input", ({ target }) => {
    if (!target.matches?.("[aria-invalid]")) return;
    target.removeAttribute("aria-invalid");
    const error = document.getElementById(`${target.id}-error`);
    if (error) error.hidden = true;
  });
  for (const tabs of all(".tabs")) {
    const here = one("[aria-current]", tabs);
    if (here) tabs.scrollLeft = here.offsetLeft - (tabs.clientWidth - here.offsetWidth) / 2;
  }
  watchForms();
  one("main input[autofocus]")?.select(); // as Tab would, so that typing replaces what is there
  document.addEventListener("htmx:after:settle", watchForms);
  document.addEventListener("htmx:after:settle", keepInView);
})();
