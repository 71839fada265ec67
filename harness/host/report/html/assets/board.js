// Sorts, searches and pages the ranking. All rows are in the page's data; the table shows one page of them.
// Names are untrusted: text enters the document through textContent alone.
"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const table = find("table");
  if (!table) return;

  const data = JSON.parse(find("data").textContent);
  const heads = [...table.tHead.rows[0].cells];
  const keys = heads.map((head) => head.dataset.key);
  const total = data.cells.name.length;
  const tiers = new Set(data.tiers);
  const headOf = Object.fromEntries(heads.map((head) => [head.dataset.key, head]));
  const state = { key: "rank", sign: 1, query: "", page: 0 };

  const folded = (text) => text.normalize("NFKC").toLowerCase();
  const searched = data.cells.name.map((name, row) => folded(`${name}\n${data.cells.group?.[row] ?? ""}`));
  const counted = (count) => count.toLocaleString("en");

  // One number a row that a column is sorted by; NaN where there is nothing, which always comes last.
  const sortNumbers = {
    // The rows come in the order of the exact scores, of which the page knows four digits only.
    order: (key) => {
      const upwards = key === "rank" || headOf[key].dataset.first === "ascending" ? 1 : -1;
      const known = (row) => data.cells[key][row] !== null || (key === "rank" && tiers.has(row));
      return data.cells[key].map((_, row) => (known(row) ? upwards * row : NaN));
    },
    number: (key) => (data.numbers[key] ?? data.cells[key]).map((value) => (value === null ? NaN : Number(value))),
    text: (key) => {
      const compare = new Intl.Collator("en", { numeric: true }).compare;
      const places = new Map();
      const texts = data.cells[key];
      [...new Set(texts)].filter((text) => text !== null).sort(compare).forEach((text, place) => places.set(text, place));
      return texts.map((text) => places.get(text) ?? NaN);
    },
  };
  const cache = new Map();
  const numbersOf = (key) => {
    if (!cache.has(key)) cache.set(key, sortNumbers[headOf[key].dataset.sort](key));
    return cache.get(key);
  };

  let shown = [];
  const arrange = () => {
    const numbers = numbersOf(state.key);
    const query = folded(state.query.trim());
    shown = [];
    for (let row = 0; row < total; row += 1) if (searched[row].includes(query)) shown.push(row);
    shown.sort((a, b) => {
      const [left, right] = [numbers[a], numbers[b]];
      if (Number.isNaN(left) || Number.isNaN(right)) return Number.isNaN(left) - Number.isNaN(right) || a - b;
      return state.sign * (left - right) || a - b;
    });
  };

  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const cellOf = (key, row) => {
    const text = data.cells[key][row];
    const cell = element(key === "name" ? "th" : "td", key);
    if (key === "name" || key === "group") {
      cell.append(element("bdi", "", text ?? ""));
    } else {
      cell.textContent = text ?? (tiers.has(row) ? "" : "–");
    }
    if (key === "name") {
      cell.scope = "row";
      if (tiers.has(row)) cell.append(" ", element("span", "tag", "tier"));
    }
    return cell;
  };

  const rowOf = (row) => {
    const line = element("tr", tiers.has(row) ? "tier" : "");
    line.append(...keys.map((key) => cellOf(key, row)));
    return line;
  };

  const pages = () => Math.max(1, Math.ceil(shown.length / data.size));
  const place = element("span", "place");
  const moves = [
    ["First", () => 0],
    ["Previous", () => state.page - 1],
    ["Next", () => state.page + 1],
    ["Last", () => pages() - 1],
  ].map(([name, target]) => {
    const button = element("button", "", name);
    button.type = "button";
    button.addEventListener("click", () => {
      const page = Math.min(Math.max(target(), 0), pages() - 1);
      if (page === state.page) return;
      state.page = page;
      show();
      if (table.getBoundingClientRect().top < 0) find("scroller").scrollIntoView();
    });
    return { button, target };
  });

  const show = () => {
    const first = state.page * data.size;
    const rows = shown.slice(first, first + data.size);
    find("rows").replaceChildren(...rows.map(rowOf));
    find("nothing").hidden = rows.length > 0;
    find("pager").hidden = pages() === 1;
    place.textContent = `${counted(first + 1)}–${counted(first + rows.length)} of ${counted(shown.length)}`;
    // Not `disabled`, which would take the focus away from the button that was just used.
    for (const { button, target } of moves) {
      const page = target();
      button.setAttribute("aria-disabled", String(page === state.page || page < 0 || page >= pages()));
    }
    for (const head of heads) {
      if (head.dataset.key === state.key) head.setAttribute("aria-sort", state.sign > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    }
  };

  const tell = () => {
    const matches = `${counted(shown.length)} of ${counted(total)} rows match`;
    find("matches").textContent = state.query.trim() ? matches : `${counted(total)} rows`;
  };

  const update = () => {
    state.page = 0;
    arrange();
    show();
  };

  for (const head of heads) {
    const { key, first } = head.dataset;
    const button = element("button", "", head.textContent);
    button.type = "button";
    button.addEventListener("click", () => {
      state.sign = state.key === key ? -state.sign : first === "ascending" ? 1 : -1;
      state.key = key;
      update();
    });
    head.replaceChildren(button);
  }
  find("search").addEventListener("input", (event) => {
    state.query = event.target.value;
    update();
    tell();
  });
  find("pager").append(moves[0].button, moves[1].button, place, moves[2].button, moves[3].button);
  find("tools").hidden = false;
  // A browser that comes back to the page may have kept what was searched for.
  state.query = find("search").value;
  update();
  tell();
})();
