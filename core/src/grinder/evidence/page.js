"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("live");

  const numbers = (text) => (text ? text.split(" ").map(Number) : []);
  const two = (n) => String(n).padStart(2, "0");

  const clock = (figure, share) => {
    const start = Number(figure.dataset.start) / 1e6;
    const ms = start + (Number(figure.dataset.end) / 1e6 - start) * share;
    if (!("relative" in figure.dataset)) return new Date(ms).toISOString().slice(0, 19) + "Z";
    const s = Math.floor(ms / 1000);
    return `+${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  };

  const charts = [...document.querySelectorAll("figure[data-start]")].map((figure) => ({
    figure,
    plot: figure.querySelector(".plot"),
    cross: figure.querySelector(".cross"),
    output: figure.querySelector("output"),
    show: new Intl.NumberFormat("en-US", { maximumFractionDigits: Number(figure.dataset.digits) }),
    lines: [...figure.querySelectorAll("path[data-x]")].map((path) => ({
      name: path.dataset.name,
      x: numbers(path.dataset.x),
      v: numbers(path.dataset.v),
      step: "step" in path.dataset,
    })),
    marks: [...figure.querySelectorAll("use[x], .band")].map((mark) => {
      const x = parseFloat(mark.getAttribute("x")) * 10;
      return { x, end: x + 10 * (parseFloat(mark.getAttribute("width")) || 0), text: mark.textContent };
    }),
  }));

  const valueAt = (line, x) => {
    let low = 0;
    let high = line.x.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (line.x[middle] <= x) low = middle;
      else high = middle - 1;
    }
    const next = low + 1;
    const closer = !line.step && next < line.x.length && line.x[next] - x < x - line.x[low];
    return line.v[closer ? next : low];
  };

  const readOut = (chart, share) => {
    const x = share * 1000;
    const unit = chart.figure.dataset.unit;
    const parts = [clock(chart.figure, share)];
    for (const line of chart.lines) {
      const value = line.x.length ? valueAt(line, x) : undefined;
      if (value === undefined || (unit === "%" && !value)) continue;
      const name = chart.lines.length > 1 || unit === "%" ? `${line.name} ` : "";
      parts.push(`${name}${chart.show.format(value).replace("-", "\u2212")}${unit ? ` ${unit}` : ""}`);
    }
    let nearest = null;
    let least = 6;
    for (const mark of chart.marks) {
      // A band yields to a mark that is closer than a hair.
      const away = mark.end > mark.x ? Math.max(mark.x - x, x - mark.end, 2) : Math.abs(mark.x - x);
      if (away < least) [nearest, least] = [mark, away];
    }
    if (nearest) parts.push(nearest.text);
    chart.output.textContent = parts.join("  ·  ");
  };

  let at = 1;
  const point = (share) => {
    at = Math.min(Math.max(share, 0), 1);
    root.classList.add("pointing");
    for (const chart of charts) {
      chart.cross.setAttribute("x1", `${at * 100}%`);
      chart.cross.setAttribute("x2", `${at * 100}%`);
      readOut(chart, at);
    }
  };
  const leave = () => {
    root.classList.remove("pointing");
    for (const chart of charts) chart.output.textContent = "";
  };

  let waiting = false;
  for (const chart of charts) {
    const follow = (event) => {
      const box = chart.plot.getBoundingClientRect();
      const share = (event.clientX - box.left) / box.width;
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        point(share);
      });
    };
    chart.plot.addEventListener("pointermove", follow);
    chart.plot.addEventListener("pointerdown", follow);
    chart.plot.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && leave());
    chart.plot.setAttribute("tabindex", "0");
    chart.plot.addEventListener("focus", () => chart.output.setAttribute("aria-live", "polite"));
    chart.plot.addEventListener("blur", () => {
      chart.output.setAttribute("aria-live", "off");
      leave();
    });
    chart.plot.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.01, ArrowRight: 0.01, PageUp: -0.1, PageDown: 0.1, Home: -1, End: 1 }[event.key];
      if (event.key === "Escape") leave();
      if (step === undefined) return;
      event.preventDefault();
      point(at + step);
    });
  }

  const form = document.querySelector(".filter");
  if (form) {
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    const examples = [...document.querySelectorAll(".example")].map((element) => ({
      element,
      text: element.textContent.toLowerCase(),
    }));
    const input = form.querySelector("input");
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const example of examples) {
        example.element.hidden = !words.every((word) => example.text.includes(word));
        shown += example.element.hidden ? 0 : 1;
      }
      form.querySelector("output").textContent = words.length ? `${shown} of ${examples.length} examples` : "";
    });
  }
})();
