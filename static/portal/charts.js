// Draws what stands in data-chart with uPlot, in the colours of the page; the table behind it stays.
"use strict";
(() => {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const language = document.documentElement.lang;

  const series = (line, place, count, unit, decimals) => {
    // A second line is a part of the first: it stands in front of it, in the strong colour.
    const isWhole = count > 1 && place === 0;
    const strong = colour("--n-accent");
    const fill = isWhole ? `${strong}40` : strong;
    const digits = new Intl.NumberFormat(language, { maximumFractionDigits: decimals });
    return {
      label: line.name, stroke: fill, fill, width: 0,
      paths: uPlot.paths.bars({ size: [0.68, 40], radius: 0.15 }),
      points: { show: false },
      value: (_chart, value) => (value === null ? "–" : `${digits.format(value)} ${unit}`),
    };
  };

  const axes = (data) => {
    const soft = colour("--n-text-soft");
    const grid = { stroke: colour("--n-line"), width: 1 };
    const short = new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 });
    const font = "12px system-ui, sans-serif";
    return [
      { stroke: soft, grid: { show: false }, ticks: { show: false }, font, size: 26, space: 56, values: (_c, at) => at.map((index) => (Number.isInteger(index) ? data.labels[index] ?? "" : "")) },
      { stroke: soft, grid, ticks: { show: false }, font, size: 52, values: (_c, at) => at.map((value) => short.format(value)) },
    ];
  };

  const draw = (element) => {
    const data = JSON.parse(element.dataset.chart);
    element.replaceChildren();
    // The legend stands below, in one line or, on a phone, in two.
    const options = {
      width: element.clientWidth, height: 206,
      padding: [10, 8, 0, 0],
      scales: { x: { time: false, range: (_c, low, high) => [low - 0.5, high + 0.5] }, y: { range: (_c, _low, high) => [0, high > 0 ? high * 1.08 : 1] } },
      cursor: { drag: { x: false, y: false }, y: false, points: { show: false } },
      legend: { show: true, live: true },
      // While nobody points at a bar, the newest one is told.
      hooks: { setLegend: [(chart) => { if (chart.legend.idx === null || chart.legend.idx === undefined) chart.setLegend({ idx: data.labels.length - 1 }, false); }] },
      series: [
        { label: data.from, value: (_chart, value) => (value === null ? "" : data.labels[value]) },
        ...data.series.map((line, place) => series(line, place, data.series.length, data.unit, data.decimals)),
      ],
      axes: axes(data),
    };
    const values = [data.labels.map((_label, index) => index), ...data.series.map((line) => line.values)];
    element.chart = new uPlot(options, values, element);
    element.chart.setCursor({ left: -10, top: -10 });
  };

  const elements = document.querySelectorAll("[data-chart]");
  for (const element of elements) { element.hidden = false; draw(element); }
  new MutationObserver(() => elements.forEach(draw)).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
  let waiting = 0;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => elements.forEach(draw), 150);
  });
})();
