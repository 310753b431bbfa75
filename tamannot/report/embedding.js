"use strict";
(function () {
  // Cells are drawn pixel by pixel into one image: that needs no graphics card, and 200,000 of them move smoothly.
  const MISSING = 255;
  const MARGIN = 16;
  const REACH = 12;
  const MOST_LABELS = 41;
  const FARTHEST = 400;
  const WHOLE = { x: 0.5, y: 0.5, zoom: 1 }; // the unit in the middle of the image
  const VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];
  const KEYS = "Arrow keys move, plus and minus zoom, 0 shows all, S counts the cells in view, Escape clears.";

  async function bytes(text) {
    const found = atob(text);
    const packed = new Uint8Array(found.length);
    for (let i = 0; i < packed.length; i++) packed[i] = found.charCodeAt(i);
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).arrayBuffer();
  }

  const words = async (text) => new TextDecoder().decode(await bytes(text));
  const shorts = async (text) => new Uint16Array(await bytes(text));

  const count = (n) => n.toLocaleString("en");
  const valueOf = (of, code) => (of.low + of.step * code).toFixed(of.step < 0.1 ? 2 : 1).replace("-", "−");
  const share = (n, all) => (all ? ((100 * n) / all).toFixed(1) : "0") + "\u00a0%";

  // Colours are numbers as the image holds them: alpha, blue, green, red.
  const ink = (red, green, blue) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  const parts = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const css = (color) => "rgb(" + (color & 255) + " " + ((color >> 8) & 255) + " " + ((color >> 16) & 255) + ")";

  function mixed(under, over, part) {
    const rest = 256 - part;
    const redAndBlue = ((Math.imul(over & 0xff00ff, part) + Math.imul(under & 0xff00ff, rest)) >>> 8) & 0xff00ff;
    const green = ((Math.imul(over & 0xff00, part) + Math.imul(under & 0xff00, rest)) >>> 8) & 0xff00;
    return (0xff000000 | redAndBlue | green) >>> 0;
  }

  function ramp() {
    const stops = VIRIDIS.map(parts);
    return Uint32Array.from({ length: 255 }, (_, i) => {
      const place = (i / 254) * (stops.length - 1);
      const at = Math.min(Math.floor(place), stops.length - 2);
      return ink(...stops[at].map((from, c) => Math.round(from + (stops[at + 1][c] - from) * (place - at))));
    });
  }

  // A disc as places in the image relative to its middle, and how much of each it covers.
  function stamp(radius, width) {
    const reach = Math.ceil(radius);
    const places = [];
    const covers = [];
    for (let dy = -reach; dy <= reach; dy++) {
      for (let dx = -reach; dx <= reach; dx++) {
        const cover = Math.round(256 * Math.min(1, radius + 0.5 - Math.hypot(dx, dy)));
        if (cover < 24) continue;
        places.push(dy * width + dx);
        covers.push(cover);
      }
    }
    return { reach, places: Int32Array.from(places), covers: Uint16Array.from(covers) };
  }

  // The same order every time, so that no label lies over another by where its cells stand in the file.
  function shuffled(n) {
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    let seed = 1;
    for (let i = n - 1; i > 0; i--) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const j = Math.floor((seed / 4294967296) * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }

  async function start(box) {
    const cells = JSON.parse(box.dataset.cells);
    const n = cells.n;
    const [x, y, ...codes] = await Promise.all([cells.x, cells.y, ...cells.labels.map((l) => l.data)].map(shorts));
    cells.labels.forEach((label, i) => {
      label.codes = codes[i];
      label.counts = new Uint32Array(label.names.length);
      for (const code of codes[i]) label.counts[code]++;
      label.hidden = new Set();
    });
    const labelled = (id) => cells.labels.find((label) => label.id === id);
    const base = shuffled(n);
    const colors = ramp();
    const dark = window.matchMedia("(prefers-color-scheme: dark)");

    // What is read only of single cells comes after the picture.
    let told = null;
    async function tell() {
      const names = await words(cells.cells);
      const status = await Promise.all(cells.status.map((s) => shorts(s.data)));
      const strongest = await Promise.all(
        cells.strongest.map(async (s) => ({ ...s, values: new Uint8Array(await bytes(s.data)), which: await shorts(s.which) }))
      );
      const likely = cells.values.filter((v) => v.id.endsWith("_prob"));
      for (const value of likely) await decoded(value);
      told = { names: names.split("\n"), status, strongest, likely };
    }

    async function decoded(value) {
      if (!value.codes) value.codes = new Uint8Array(await bytes(value.data));
      return value;
    }

    const by = make("select", { "aria-label": "Colour by", change: recolor });
    const groups = new Map();
    function offer(group, value, text) {
      if (!groups.has(group)) groups.set(group, by.appendChild(make("optgroup", { label: group })));
      groups.get(group).append(make("option", { value }, text));
    }
    cells.labels.forEach((label, i) => label.names.length <= MOST_LABELS && offer("Labels", "labels-" + i, label.id));
    cells.values.forEach((value, i) => offer(value.group, "values-" + i, value.title));

    const button = (text, click, more) => make("button", { type: "button", click, ...more }, text);
    const choose = button("Select cells", () => {
      choose.setAttribute("aria-pressed", String(canvas.classList.toggle("selecting")));
    }, { "aria-pressed": "false" });
    const hint = box.querySelector("h3").id + "-keys";
    const canvas = make("canvas", { tabindex: "0", role: "application", "aria-label": box.querySelector("h3").textContent, "aria-describedby": hint });
    const card = make("dl", { class: "card" });
    const status = make("p", { class: "said", role: "status" });
    const legend = make("div", { class: "legend" });
    const chosen = make("div", { class: "chosen" });
    const tools = make("div", { class: "tools" }, make("label", {}, "Colour by ", by), choose);
    tools.append(
      button("+", () => zoom(1.5), { "aria-label": "Zoom in" }),
      button("−", () => zoom(1 / 1.5), { "aria-label": "Zoom out" }),
      button("Reset", reset)
    );
    const stage = make("div", { class: "stage" }, canvas, card);
    const how = "Drag to move. Select cells, or Shift and drag, counts the cells of a rectangle. A click in the legend hides or shows. " + KEYS;
    const live = make("div", { class: "live" }, tools, stage, legend, status, chosen, make("p", { class: "note", id: hint }, how));
    box.querySelector("h3").after(live);
    box.classList.add("drawn");

    const context = canvas.getContext("2d", { alpha: false });
    const inks = new Uint32Array(n);
    const view = { ...WHOLE };
    let shade = cells.labels[0];
    let order = base;
    let image = null;
    let pixels = null;
    let ratio = 1;
    let picked = null; // a byte a cell: whether it is selected
    let frame = null; // what was dragged over, in units of the data
    let shown = -1; // the cell whose evidence is told
    let waits = false;

    // All places are in pixels of the image; units are from 0 to 1 over the cells.
    const spanOf = (length) => view.zoom * (length - 2 * MARGIN * ratio);
    const placesAt = ([ux, uy]) => [canvas.width / 2 + (ux - view.x) * spanOf(canvas.width), canvas.height / 2 + (uy - view.y) * spanOf(canvas.height)];
    const unitsAt = ([px, py]) => [view.x + (px - canvas.width / 2) / spanOf(canvas.width), view.y + (py - canvas.height / 2) / spanOf(canvas.height)];
    const scales = () => [spanOf(canvas.width) / 65535, spanOf(canvas.height) / 65535, ...placesAt([0, 0])];
    const radius = () => {
      const area = (canvas.width * canvas.height * 0.12) / Math.max(n, 1) / Math.PI;
      return Math.min(Math.max(Math.sqrt(area), 0.8 * ratio), 3.5 * ratio) * Math.min(view.zoom ** 0.4, 3);
    };
    const paper = () => ink(...getComputedStyle(canvas).backgroundColor.match(/\d+/g).slice(0, 3).map(Number));

    // Greys of the pictures are those of white paper.
    function fitted(hex) {
      const rgb = parts(hex);
      const grey = Math.max(...rgb) === Math.min(...rgb);
      return ink(...(dark.matches && grey ? rgb.map((v) => Math.round(255 - 0.82 * v)) : rgb));
    }

    // Of each cell its colour, and in which order they are drawn: what is grey or small below the others.
    function arrange() {
      const white = paper();
      const isLabel = Boolean(shade.names);
      const steps = isLabel ? shade.names.length : 256;
      const rank = new Uint16Array(steps);
      const lut = new Uint32Array(steps);
      if (isLabel) {
        shade.inks = shade.colors.map(fitted);
        for (let i = 0; i < steps; i++) {
          lut[i] = shade.inks[i];
          rank[i] = shade.hidden.has(i) ? MISSING + 2 : Number(!shade.quiet[i]);
        }
      } else {
        const [low, high] = rangeOf(shade);
        for (let i = 0; i < MISSING; i++) {
          lut[i] = colors[Math.round(254 * Math.min(Math.max((i - low) / Math.max(high - low, 1), 0), 1))];
          rank[i] = i + 1;
        }
        lut[MISSING] = fitted("#dddddd");
      }
      const starts = new Uint32Array(2 * MISSING + 8);
      const height = MISSING + 2;
      const rankOf = (i) => (rank[shade.codes[i]] === height ? height * 2 + 1 : rank[shade.codes[i]] + (picked && picked[i] ? height : 0));
      for (let i = 0; i < n; i++) starts[rankOf(i) + 1]++;
      for (let i = 1; i < starts.length; i++) starts[i] += starts[i - 1];
      const seen = starts[height * 2 + 1];
      const sorted = new Uint32Array(n);
      for (const i of base) sorted[starts[rankOf(i)]++] = i;
      order = sorted.subarray(0, seen);
      const faint = lut.map((color) => mixed(white, color, 50));
      for (let i = 0; i < n; i++) inks[i] = (picked && !picked[i] ? faint : lut)[shade.codes[i]];
      paint();
    }

    // Colours span all but the outermost values.
    function rangeOf(value) {
      const counts = new Uint32Array(256);
      for (const code of value.codes) counts[code]++;
      const all = n - counts[MISSING];
      const at = (part) => {
        let sum = 0;
        for (let i = 0; i < MISSING; i++) if ((sum += counts[i]) > part * all) return i;
        return MISSING - 1;
      };
      return [at(0.01), at(0.99), counts[MISSING]];
    }

    function paint() {
      if (waits) return;
      waits = true;
      requestAnimationFrame(() => {
        waits = false;
        if (image) draw();
      });
    }

    function draw() {
      const { width, height } = canvas;
      const { reach, places, covers } = stamp(radius(), width);
      const [ax, ay, bx, by_] = scales();
      const [right, bottom, size] = [width - reach, height - reach, places.length];
      pixels.fill(paper());
      for (let k = 0; k < order.length; k++) {
        const i = order[k];
        const px = Math.round(x[i] * ax + bx);
        const py = Math.round(y[i] * ay + by_);
        if (px < reach || py < reach || px >= right || py >= bottom) continue;
        const color = inks[i];
        const middle = py * width + px;
        for (let s = 0; s < size; s++) {
          const at = middle + places[s];
          pixels[at] = covers[s] > 255 ? color : mixed(pixels[at], color, covers[s]);
        }
      }
      context.putImageData(image, 0, 0);
      context.strokeStyle = getComputedStyle(canvas).color;
      context.lineWidth = 2 * ratio;
      if (frame) {
        const [left, top, far, low] = [...placesAt(frame), ...placesAt(frame.slice(2))];
        context.setLineDash([6 * ratio, 4 * ratio]);
        context.strokeRect(left, top, far - left, low - top);
        context.setLineDash([]);
      }
      if (shown >= 0) {
        context.beginPath();
        context.arc(x[shown] * ax + bx, y[shown] * ay + by_, radius() + 4 * ratio, 0, 2 * Math.PI);
        context.stroke();
      }
    }

    function resize() {
      const { width, height } = canvas.getBoundingClientRect();
      if (!width || !height) return;
      ratio = Math.min(window.devicePixelRatio || 1, 2);
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      image = context.createImageData(canvas.width, canvas.height);
      pixels = new Uint32Array(image.data.buffer);
      draw();
    }

    async function recolor() {
      const [kind, at] = by.value.split("-");
      shade = kind === "labels" ? cells.labels[at] : await decoded(cells.values[at]);
      explain();
      arrange();
    }

    function swatch(color) {
      const found = make("span", { class: "swatch", "aria-hidden": "true" });
      found.style.background = css(color);
      return found;
    }

    function explain() {
      legend.replaceChildren();
      if (shade.names) {
        const greys = [];
        shade.names.forEach((name, i) => {
          if (!shade.counts[i]) return;
          const n_ = count(shade.counts[i]);
          const entry = button("", () => toggle(entry, i), { "aria-pressed": String(!shade.hidden.has(i)), title: "Show or hide" });
          entry.append(swatch(fitted(shade.colors[i])), name, make("span", { class: "n" }, n_));
          if (shade.quiet[i]) greys.push(entry);
          else legend.append(entry);
        });
        legend.append(...greys);
      } else {
        const [low, high, missing] = rangeOf(shade);
        const bar = make("span", { class: "bar", "aria-hidden": "true" });
        bar.style.background = "linear-gradient(to right, " + VIRIDIS.join(", ") + ")";
        const values = make("p", {}, shade.title + (shade.group.startsWith("z:") ? " (z)" : ""), bar, valueOf(shade, low) + " to " + valueOf(shade, high));
        legend.append(values);
        if (missing) legend.append(make("p", {}, swatch(fitted("#dddddd")), "no value ", count(missing)));
      }
    }

    function toggle(entry, i) {
      if (!shade.hidden.delete(i)) shade.hidden.add(i);
      entry.setAttribute("aria-pressed", String(!shade.hidden.has(i)));
      const hidden = [...shade.hidden].reduce((sum, j) => sum + shade.counts[j], 0);
      say(shade.names[i] + (shade.hidden.has(i) ? " hidden." : " shown.") + " " + count(n - hidden) + " of " + count(n) + " cells are drawn.");
      arrange();
    }

    const say = (text) => { status.textContent = text; };

    // The cell drawn nearest to a place, the uppermost of those that lie as near; -1 if none is within reach.
    function nearest([px, py], reach) {
      const [ax, ay, bx, by_] = scales();
      let best = (reach * ratio) ** 2;
      let found = -1;
      for (let k = 0; k < order.length; k++) {
        const i = order[k];
        const dx = x[i] * ax + bx - px;
        const dy = y[i] * ay + by_ - py;
        const distance = dx * dx + dy * dy;
        if (distance > best) continue;
        best = distance;
        found = i;
      }
      return found;
    }

    function evidenceOf(i) {
      const sample = labelled("sample");
      const rows = [["cell", told.names[i]]];
      if (sample) rows.push(["sample", sample.names[sample.codes[i]]]);
      for (const id of ["compartment", "origin", "state"]) {
        const label = labelled(id);
        const likely = told.likely.find((v) => v.id === id + "_prob");
        const at = cells.status.findIndex((s) => s.id === id);
        const code = likely ? likely.codes[i] : MISSING;
        const said = [label.names[label.codes[i]]];
        if (code !== MISSING) said.push("probability " + valueOf(likely, code));
        const why = at < 0 ? "" : cells.status[at].names[told.status[at][i]];
        if (why && !said.includes(why)) said.push(why);
        rows.push([id, said.join(", ")]);
      }
      for (const s of told.strongest) {
        if (s.values[i] !== MISSING) rows.push([s.title, s.names[s.which[i]] + " " + valueOf(s, s.values[i])]);
      }
      return rows;
    }

    function show(i, [px, py] = [0, 0], aloud = false) {
      if (i !== shown) {
        shown = i;
        paint();
      }
      card.hidden = i < 0 || !told;
      if (card.hidden) return;
      const rows = evidenceOf(i);
      card.replaceChildren(...rows.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
      if (aloud) say(rows.map(([name, value]) => name + " " + value).join("; "));
      const [left, top, right, bottom] = [px / ratio, py / ratio, stage.clientWidth - px / ratio, stage.clientHeight - py / ratio];
      card.style.left = left > right ? "auto" : left + 14 + "px";
      card.style.right = left > right ? right + 14 + "px" : "auto";
      card.style.top = top > bottom ? "auto" : top + 14 + "px";
      card.style.bottom = top > bottom ? bottom + 14 + "px" : "auto";
    }

    const hide = () => show(-1);

    let tellsMiddle = 0;
    function showMiddle() {
      const i = nearest(middle(), FARTHEST);
      if (i < 0) return hide();
      const place = placesAt([x[i] / 65535, y[i] / 65535]);
      show(i, place);
      clearTimeout(tellsMiddle);
      tellsMiddle = setTimeout(() => { if (shown === i) show(i, place, true); }, 300);
    }

    const middle = () => [canvas.width / 2, canvas.height / 2];
    function zoom(by, place = middle()) {
      const [ux, uy] = unitsAt(place);
      view.zoom = Math.min(Math.max(view.zoom * by, 0.5), 200);
      const [vx, vy] = unitsAt(place);
      view.x += ux - vx;
      view.y += uy - vy;
      paint();
    }

    function move(dx, dy) {
      view.x = Math.min(Math.max(view.x - dx / spanOf(canvas.width), 0), 1);
      view.y = Math.min(Math.max(view.y - dy / spanOf(canvas.height), 0), 1);
      paint();
    }

    function reset() {
      Object.assign(view, WHOLE);
      for (const label of cells.labels) label.hidden.clear();
      hide();
      clear();
      explain();
      say("All " + count(n) + " cells are shown.");
    }

    function clear() {
      picked = frame = null;
      chosen.replaceChildren();
      arrange();
    }

    function select(from, to) {
      clearTimeout(tellsMiddle);
      const [left, top, right, bottom] = (frame = unitsBetween(from, to));
      picked = new Uint8Array(n);
      let total = 0;
      for (const i of order) {
        const [ux, uy] = [x[i] / 65535, y[i] / 65535];
        if (ux < left || ux > right || uy < top || uy > bottom) continue;
        picked[i] = 1;
        total++;
      }
      const tables = ["state", "origin"].map(labelled).map((label) => {
        const counts = new Uint32Array(label.names.length);
        for (let i = 0; i < n; i++) if (picked[i]) counts[label.codes[i]]++;
        const rows = [...counts.keys()].filter((i) => counts[i]).sort((a, b) => counts[b] - counts[a]);
        return { id: label.id, rows: rows.map((i) => [label.names[i], counts[i]]) };
      });
      chosen.replaceChildren(...tables.map(({ id, rows }) => {
        const head = make("tr", {}, make("th", { scope: "col" }, id), make("th", { scope: "col", class: "n" }, "cells"), make("th", { scope: "col", class: "n" }, "share"));
        const body = rows.map(([name, m]) => make("tr", {}, make("td", {}, name), make("td", { class: "n" }, count(m)), make("td", { class: "n" }, share(m, total))));
        return make("table", {}, make("caption", {}, "Selected cells by " + id), make("thead", {}, head), make("tbody", {}, ...body));
      }));
      const said = tables.map(({ id, rows }) => id + ": " + rows.map(([name, m]) => name + " " + count(m)).join(", "));
      say(count(total) + (total === 1 ? " cell is" : " cells are") + " selected. " + (total ? "By " + said.join("; by ") + "." : ""));
      arrange();
    }

    // The units of a rectangle, given by two opposite corners: left, top, right, bottom.
    function unitsBetween(a, b) {
      const [one, other] = [unitsAt(a), unitsAt(b)];
      return [...one.map((unit, i) => Math.min(unit, other[i])), ...one.map((unit, i) => Math.max(unit, other[i]))];
    }

    let drag = null; // of a pointer that is down: where it began and was last, and whether it selects
    const placeOf = (event) => [event.offsetX * ratio, event.offsetY * ratio];
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      drag = { from: placeOf(event), last: placeOf(event), selects: event.shiftKey || canvas.classList.contains("selecting"), far: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const place = placeOf(event);
      if (!drag) return show(nearest(place, REACH), place);
      drag.far = drag.far || Math.hypot(place[0] - drag.from[0], place[1] - drag.from[1]) > 3 * ratio;
      if (!drag.far) return;
      hide();
      if (drag.selects) {
        frame = unitsBetween(drag.from, place);
        paint();
      } else {
        move(place[0] - drag.last[0], place[1] - drag.last[1]);
      }
      drag.last = place;
    });
    canvas.addEventListener("pointerup", (event) => {
      const place = placeOf(event);
      if (drag && drag.far && drag.selects) select(drag.from, place);
      else if (drag && !drag.far) show(nearest(place, REACH), place, true);
      drag = null;
    });
    canvas.addEventListener("pointercancel", () => { drag = null; });
    // A finger leaves with every tap; what it asked for stays.
    canvas.addEventListener("pointerleave", (event) => { if (!drag && event.pointerType !== "touch") hide(); });
    canvas.addEventListener("blur", hide);
    canvas.addEventListener("focus", () => { if (canvas.matches(":focus-visible")) showMiddle(); });
    canvas.addEventListener("dblclick", (event) => zoom(2, placeOf(event)));
    // The wheel scrolls the page until the picture has been clicked.
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && document.activeElement !== canvas) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY / 400), placeOf(event));
    }, { passive: false });

    const steps = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const { key } = event;
      if (steps[key]) move(...steps[key].map((step) => step * ratio));
      else if (key === "+" || key === "=") zoom(1.5);
      else if (key === "-") zoom(1 / 1.5);
      else if (key === "0") Object.assign(view, WHOLE);
      else if (key === "s" || key === "S") return select([0, 0], [canvas.width, canvas.height]);
      else if (key === "Escape") {
        hide();
        return clear();
      } else return;
      event.preventDefault();
      paint();
      showMiddle();
    });

    dark.addEventListener("change", () => {
      explain();
      arrange();
    });
    // Another screen, or a zoom of the page.
    function follow() {
      const resolution = window.matchMedia("(resolution: " + window.devicePixelRatio + "dppx)");
      resolution.addEventListener("change", () => { resize(); follow(); }, { once: true });
    }

    hide();
    explain();
    arrange();
    follow();
    new ResizeObserver(resize).observe(canvas);
    resize();
    say(count(n) + " cells are shown.");
    performance.mark("embedding-drawn");
    await tell();
    box.dataset.ready = "yes";
  }

  for (const box of document.querySelectorAll(".embedding")) {
    if (!window.DecompressionStream) continue; // the still picture stays
    start(box).catch((error) => {
      box.classList.remove("drawn");
      box.querySelector(".live")?.remove();
      console.error(error);
    });
  }
})();
