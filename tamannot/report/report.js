"use strict";
(function () {
  const text = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

  function valueOf(row, column) {
    const cell = row.cells[column];
    if (!cell.hasAttribute("data-v")) return cell.textContent;
    const value = cell.getAttribute("data-v");
    return value === "" ? null : Number(value);
  }

  function compare(a, b) {
    return typeof a === "number" ? a - b : text.compare(a, b);
  }

  function sort(table, header) {
    const down = header.getAttribute("aria-sort") === "ascending";
    const column = header.cellIndex;
    const body = table.tBodies[0];
    const rows = Array.from(body.rows).map((row) => [valueOf(row, column), row]);
    // What has no value stays last, whichever the direction.
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return down ? compare(b, a) : compare(a, b);
    });
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...rows.map(([, row]) => row));
  }

  function makeSortable(table) {
    for (const header of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      button.addEventListener("click", () => sort(table, header));
      header.append(button);
    }
  }

  function makeFilterable(table, title, before) {
    const rows = Array.from(table.tBodies[0].rows);
    // Ids stand with underscores in some tables and with blanks in others.
    const plain = (words) => words.toLowerCase().replaceAll("_", " ");
    const found = rows.map((row) => plain(row.textContent));
    const tools = document.createElement("div");
    tools.className = "tools";
    const field = document.createElement("input");
    field.type = "search";
    field.placeholder = "Filter rows";
    field.setAttribute("aria-label", "Filter rows: " + title);
    const count = document.createElement("span");
    count.setAttribute("role", "status");
    field.addEventListener("input", () => {
      const wanted = plain(field.value.trim());
      let shown = 0;
      rows.forEach((row, i) => {
        row.hidden = !found[i].includes(wanted);
        shown += row.hidden ? 0 : 1;
      });
      count.textContent = wanted ? shown + " of " + rows.length + " rows" : "";
    });
    tools.append(field, count);
    before.before(tools);
  }

  for (const box of document.querySelectorAll(".tabled")) {
    const table = box.querySelector("table");
    const few = table.tBodies[0].rows.length < 2;
    if (!few) makeSortable(table);
    if (table.tBodies[0].rows.length > 8) makeFilterable(table, box.querySelector("h3").textContent, box.querySelector(".scroll"));
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
