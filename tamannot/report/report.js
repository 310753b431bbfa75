"use strict";
// Make an element; of its attributes, functions listen to the event of that name. The embedding uses it, too.
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

(function () {
  const text = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

  function valueOf(row, column) {
    const cell = row.cells[column];
    if (!cell.hasAttribute("data-v")) return cell.textContent;
    const value = cell.getAttribute("data-v");
    return value === "" ? null : Number(value);
  }

  function sort(table, header) {
    const down = header.getAttribute("aria-sort") === "ascending";
    const body = table.tBodies[0];
    const rows = Array.from(body.rows).map((row) => [valueOf(row, header.cellIndex), row]);
    rows.sort(([a], [b]) => {
      // What has no value stays last, whichever the direction.
      if (a === null || b === null) return (a === null) - (b === null);
      const order = typeof a === "number" ? a - b : text.compare(a, b);
      return down ? -order : order;
    });
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...rows.map(([, row]) => row));
  }

  function makeSortable(table) {
    for (const header of table.tHead.rows[0].cells) {
      header.append(make("button", { type: "button", click: () => sort(table, header) }, ...header.childNodes));
    }
  }

  function makeFilterable(table, title, before) {
    const rows = Array.from(table.tBodies[0].rows);
    // Ids stand with underscores in some tables and with blanks in others.
    const plain = (words) => words.toLowerCase().replaceAll("_", " ");
    const found = rows.map((row) => plain(row.textContent));
    const count = make("span", { role: "status" });
    const field = make("input", { type: "search", placeholder: "Filter rows", "aria-label": "Filter rows: " + title, input: filter });
    before.before(make("div", { class: "tools" }, field, count));

    function filter() {
      const wanted = plain(field.value.trim());
      rows.forEach((row, i) => { row.hidden = !found[i].includes(wanted); });
      const shown = rows.filter((row) => !row.hidden).length;
      count.textContent = wanted ? shown + " of " + rows.length + " rows" : "";
    }
  }

  for (const box of document.querySelectorAll(".tabled")) {
    const table = box.querySelector("table");
    const n = table.tBodies[0].rows.length;
    if (n > 1) makeSortable(table);
    if (n > 8) makeFilterable(table, box.querySelector("h3").textContent, box.querySelector(".scroll"));
  }

  const dialog = document.getElementById("large");
  const large = dialog.querySelector("img");
  for (const button of document.querySelectorAll(".zoom")) {
    button.addEventListener("click", () => {
      const small = button.querySelector("img");
      large.src = small.src;
      large.alt = small.alt;
      dialog.showModal();
    });
  }
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
})();
