"use strict";
// Tells the values at the time that is pointed at. The plots do without.
(() => {
  const { span, plots, faults } = JSON.parse(document.getElementById("data").textContent);
  const COLUMNS = 480;

  const length = (ms) => {
    const units = [["d", 86400000], ["h", 3600000], ["min", 60000], ["s", 1000], ["ms", 1]];
    const largest = units.findIndex(([, size]) => ms >= size);
    if (largest < 0) return "0 ms";
    if (largest === 3) return `${Math.round(ms) / 1000} s`;
    const parts = [];
    for (const [name, size] of units.slice(largest, largest + 2)) {
      const count = Math.floor(ms / size);
      ms -= count * size;
      if (count > 0) parts.push(`${count} ${name}`);
    }
    return parts.join(" ");
  };

  const formats = {
    rate: (value) => `${Math.round(value * 100) / 100} /s`,
    share: (value) => `${Math.round(value * 1000) / 10} %`,
    time: (value) => (value === null ? "–" : length(value)),
  };

  const element = (name, className, text) => {
    const it = document.createElement(name);
    it.className = className;
    it.textContent = text ?? "";
    return it;
  };

  const tip = element("div", "tip");
  tip.setAttribute("role", "status");
  tip.hidden = true;
  document.body.append(tip);

  const lines = [];

  const tell = (plot, at) => {
    const index = Math.min(Math.floor(at / plot.step), plot.series[0]?.values.length - 1 || 0);
    const begin = index * plot.step;
    const end = Math.min(begin + plot.step, span);
    tip.replaceChildren(element("p", "when", `${length(begin)} – ${length(end)}`));
    const format = formats[plot.format] ?? ((value) => `${value} ${plot.format}`);
    // As they lie on one another.
    for (const { class: colour, name, values } of [...plot.series].reverse()) {
      const row = element("p", "");
      const label = element("span", "");
      label.append(element("i", `key ${colour}`), name);
      row.append(label, element("b", "", format(values[index] ?? 0)));
      tip.append(row);
    }
    const column = (at / span) * COLUMNS;
    for (const { name, columns } of faults) {
      if (columns.some(([from, to]) => from <= column && column < to)) {
        tip.append(element("p", "fault-name", `fault: ${name}`));
      }
    }
  };

  const show = (svg, plot, at) => {
    const box = svg.getBoundingClientRect();
    const x = box.left + (at / span) * box.width;
    tell(plot, at);
    tip.hidden = false;
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    const beside = x + 14 > room ? x - tip.offsetWidth - 14 : x + 14;
    tip.style.left = `${Math.max(8, Math.min(beside, room))}px`;
    tip.style.top = `${Math.max(8, box.top + 24)}px`;
    for (const line of lines) {
      line.setAttribute("x1", `${(at / span) * 100}%`);
      line.setAttribute("x2", `${(at / span) * 100}%`);
      line.style.display = "";
    }
  };

  const hide = () => {
    tip.hidden = true;
    for (const line of lines) line.style.display = "none";
  };

  for (const [id, plot] of Object.entries(plots)) {
    const svg = document.querySelector(`#${id} .frame`);
    // As a label it is read aloud, and does not cover the tip.
    const title = svg.querySelector("title");
    svg.setAttribute("aria-label", title.textContent);
    svg.setAttribute("aria-describedby", `${id}-about`);
    svg.removeAttribute("aria-labelledby");
    title.remove();

    const line = document.createElementNS(svg.namespaceURI, "line");
    line.setAttribute("class", "crosshair");
    line.setAttribute("y2", `${svg.getAttribute("height") - 22}`);
    line.style.display = "none";
    svg.append(line);
    lines.push(line);

    let at = 0;
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const share = (event.clientX - box.left) / box.width;
      if (share < 0 || share >= 1) return hide();
      at = share * span;
      show(svg, plot, at);
    });
    svg.addEventListener("pointerleave", hide);
    svg.tabIndex = 0;
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1, PageDown: 10, PageUp: -10 }[event.key];
      if (event.key === "Escape") hide();
      if (steps === undefined) return;
      event.preventDefault();
      // In the middle of a slice, never on an edge.
      const index = Math.floor(at / plot.step) + steps;
      const last = Math.ceil(span / plot.step) - 1;
      at = Math.min((Math.max(0, Math.min(index, last)) + 0.5) * plot.step, span - 0.001);
      show(svg, plot, at);
    });
  }

  document.documentElement.dataset.ready = "true";
})();
